"""Predictor: the arms as a KServe model; it only translates.

A bad request gets 400, an index of another bundle 503 with both ids, any other request an answer.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput, ModelNotReady
from prometheus_client import Counter, Histogram

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.index.milvus import BundleMismatchError
from serving.answers import ARM_FIELDS, TEAM, v1_answers, v2_answers
from serving.arms import Arms, OneArm, Served, TwoArms
from serving.config import ServingConfig
from serving.histories import HistoryReader
from serving.metrics import BUCKETS_S, labelled
from serving.requests import Query, num_events_of, parse_instances, read_v1
from serving.shedding import Waiting
from serving.start import ExperimentFiles
from serving.tracing import redrec_attributes, span
from serving.v2 import INPUTS, flat_tensors, read_v2

MAX_REASON = 1000  # characters; the error of a history names every bad event
MAX_EVENTS_ON_LOOP = 200  # 2 CPU ms to check
V2_OUTPUTS = {
    "item_id": "BYTES",
    "score": "FP32",
    "interest": "INT32",
    "source": "BYTES",
    "reason": "BYTES",
    "bundle_id": "BYTES",
    "explanation": "BYTES",  # JSON, where a query says `explain`
}
ANSWERS = Counter("redrec_answers", "Answers by scenario, source and reason", ["scenario", "source", "reason"])
SECONDS = Histogram("redrec_answer_seconds", "Seconds of an answer, by scenario", ["scenario"], buckets=BUCKETS_S)


class Predictor(Model):
    """One model name for one bundle, or for both of an experiment.

    `load` comes before the server starts, `start_engine` runs on its event loop.
    """

    def __init__(
        self,
        name: str,
        bundle: Path,
        features: Path | None,
        config: ServingConfig,
        experiment: ExperimentFiles | None = None,
    ) -> None:
        super().__init__(name)
        self.engine = True  # KServe then awaits start_engine together with the server
        self.bundle_path, self.features, self.config, self.experiment = bundle, features, config, experiment
        self.waiting = Waiting()
        self.when_ready: Callable[[], Awaitable[None]] | None = None

    def load(self) -> bool:
        """Open and check everything; before it listens, KServe registers only models that are ready."""
        histories = HistoryReader(self.features)
        gc.collect()
        gc.freeze()  # what was imported is never garbage, and to look at it takes 160 ms of some request
        self.arms: Arms
        if self.experiment is None:
            self.arms = OneArm(self.bundle_path, self.config, histories, self.waiting)
        else:
            control, treatment = Bundle.load(self.bundle_path), Bundle.load(self.experiment.treatment)
            self.arms = TwoArms(control, treatment, self.config, histories, self.waiting, self.experiment)
        self.ready = True
        return self.ready

    @property
    def bundle(self) -> Bundle:
        """The bundle in service, of an experiment the control's."""
        return self.arms.bundle

    def start(self) -> None:
        """Do nothing: KServe's own method would set `ready`."""

    async def start_engine(self) -> None:
        """Connect and warm up, not ready meanwhile; then keep the connection until the server stops."""
        self.ready = False
        self.stopped = asyncio.Event()
        try:
            await self.arms.start()
            self.ready = True
            if self.when_ready is not None:
                await self.when_ready()
            await self.stopped.wait()
        finally:
            await self.arms.close()

    def stop(self) -> None:
        self.ready = False
        self.stopped.set()

    def get_input_types(self) -> list[dict[str, object]]:
        return [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in INPUTS.items()]

    def get_output_types(self) -> list[dict[str, object]]:
        outputs = V2_OUTPUTS if self.experiment is None else V2_OUTPUTS | dict.fromkeys((*ARM_FIELDS, TEAM), "BYTES")
        return [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in outputs.items()]

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        """Return the answers to a V1 body or a V2 request."""
        is_v2 = isinstance(payload, InferRequest)
        try:
            instances = read_v2(flat_tensors(payload)) if is_v2 else read_v1(payload)
            queries = await self._parsed(instances)
            with self.waiting.here(len(queries) - 1):  # the request counts for one of them
                served = await self._answers(queries)
        except BundleMismatchError as mismatch:
            raise ModelNotReady(self.name, str(mismatch)) from mismatch  # KServe's 503, with this message
        except InputError as error:
            raise InvalidInput(str(error)[:MAX_REASON]) from error
        if not is_v2:
            return v1_answers(served)
        outputs = [InferOutput(**tensor._asdict()) for tensor in v2_answers(served)]
        if payload.from_grpc and payload.use_binary_outputs:  # since its inputs are binary
            for output in outputs:
                output.set_data_from_numpy(output.as_numpy())
        return InferResponse(payload.id or "", self.name, outputs)

    async def _parsed(self, instances: object) -> list[Query]:
        """Return the checked queries; with long histories they are checked beside the event loop."""
        vocabulary = self.bundle.vocabulary
        if not isinstance(instances, list) or sum(map(num_events_of, instances)) <= MAX_EVENTS_ON_LOOP:
            return parse_instances(instances, vocabulary)
        return await asyncio.get_running_loop().run_in_executor(None, parse_instances, instances, vocabulary)

    async def _answers(self, queries: list[Query]) -> list[Served]:
        begin = time.perf_counter()
        with span("answer") as traced:
            served = await self.arms.answers(queries)
            if traced.is_recording():
                traced.set_attributes(redrec_attributes(attributes_of(queries, served)))
        seconds = time.perf_counter() - begin
        for query, one in zip(queries, served, strict=True):
            labelled(SECONDS, query.scenario).observe(seconds)
            labelled(ANSWERS, query.scenario, one.answer.source, one.answer.reason or "").inc()
        return served


def attributes_of(queries: list[Query], served: list[Served]) -> dict[str, str]:
    """Return what the span of a request's answers says of them."""
    return {
        "scenario": texts_of(query.scenario for query in queries),
        "source": texts_of(one.answer.source for one in served),
        "reason": texts_of(one.answer.reason or "" for one in served),
        "bundle": texts_of(one.bundle_id for one in served),
    }


def texts_of(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
