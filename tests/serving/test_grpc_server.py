"""V2 by gRPC: a server in a process of its own beside V2 by HTTP, and the guard around a servicer that waits."""

import asyncio
import json
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.request import urlopen

import grpc
import numpy as np
import pytest
from grpc import StatusCode, aio
from kserve.errors import ModelNotReady
from kserve.protocol.grpc.grpc_predict_v2_pb2 import (
    ModelInferRequest,
    ModelInferResponse,
    ModelMetadataRequest,
    ModelReadyRequest,
    RepositoryModelLoadRequest,
    RepositoryModelUnloadRequest,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerMetadataRequest,
    ServerReadyRequest,
)
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
    GRPCInferenceServiceServicer,
    GRPCInferenceServiceStub,
    add_GRPCInferenceServiceServicer_to_server,
)

from redrec.data.tables import connect, read
from redrec.experiments.allocation import Allocation
from serving import grpc_server, room
from serving.grpc_server import AGAIN_MS, INFER, MAX_COMING, MAX_SLOW, PROMPT_SECONDS, GrpcGuard, options
from serving.room import MAX_BODY_BYTES, Room
from serving.shedding import Admission, Waiting
from tests.redis_server import free_port
from tests.serving.experiments import TwoBundles, serving, two_bundles
from tests.serving.rpcs import Tensor, packed, refusal, refusal_of, request_of, stub_of, values_of
from tests.serving.test_app import GUIDE, HISTORY, v2

TEXT = json.dumps(HISTORY)
QUESTIONS: dict[str, dict[str, list]] = {
    "a stored user, an unknown one and a history": {
        "user_id": ["user-3", "nobody", "u"],
        "scenario": ["ads", "homefeed", "search"],
        "k": [4, 3, 7],
        "history": ["", "", TEXT],
    },
    "explained": {"user_id": ["u"], "scenario": ["ads"], "history": [TEXT], "explain": [True]},
    "nothing found": {"user_id": ["u"], "scenario": ["ads"], "history": [TEXT], "category": ["no such"]},
    "without the seen": {"user_id": ["u"], "scenario": ["ads"], "history": [TEXT], "exclude_seen": [True]},
}
RPC = re.compile(r"`rpc (\w+)`")
PATIENCE_S = 60


class Served(NamedTuple):
    url: str
    address: str
    process: subprocess.Popen
    bundles: TwoBundles
    stub: GRPCInferenceServiceStub
    allocation: Allocation


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of an experiment, whose users of the scenario search are in none."""
    folder, grpc_port = tmp_path_factory.mktemp("grpc"), free_port()
    bundles, address = two_bundles(folder), f"127.0.0.1:{grpc_port}"
    allocation = Allocation(plan=bundles.plan())
    with serving(bundles, folder, allocation, grpc_port=grpc_port) as server, stub_of(address) as stub:
        yield Served(server.url, address, server.process, bundles, stub, allocation)


@pytest.fixture
def stub(served: Served) -> GRPCInferenceServiceStub:
    return served.stub


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize("question", QUESTIONS)
def test_grpc_answers_exactly_as_http_does(served: Served, question: str, is_raw: bool):
    status, by_http = v2(served.url, **QUESTIONS[question])
    response = served.stub.ModelInfer(request_of(is_raw, **QUESTIONS[question]), timeout=PATIENCE_S)
    outputs = {output["name"]: output["data"] for output in by_http["outputs"]}
    outputs["score"] = np.array(outputs["score"], np.float32).tolist()  # as gRPC has it
    values = values_of(response)
    for name in ("exposure_id", "request_id"):  # each request has its own
        assert len(values.pop(name)) == len(outputs.pop(name))
    assert (status, values, response.id) == (200, outputs, "request-7")
    shapes = [output["shape"] for output in by_http["outputs"]]
    assert [list(output.shape) for output in response.outputs] == shapes
    assert bool(response.raw_output_contents) == is_raw


def test_health_readiness_and_metadata_are_those_of_http(served: Served, stub: GRPCInferenceServiceStub):
    assert stub.ServerLive(ServerLiveRequest()).live and stub.ServerReady(ServerReadyRequest()).ready
    assert stub.ModelReady(ModelReadyRequest(name="redrec")).ready
    assert refusal(stub.ModelReady, ModelReadyRequest(name="other"))[0] is StatusCode.NOT_FOUND
    with urlopen(f"{served.url}/v2", timeout=30) as response:
        assert stub.ServerMetadata(ServerMetadataRequest()).version == json.load(response)["version"]
    metadata = stub.ModelMetadata(ModelMetadataRequest(name="redrec"))
    with urlopen(f"{served.url}/v2/models/redrec", timeout=30) as response:
        by_http = json.load(response)
    for described, tensors in (("inputs", metadata.inputs), ("outputs", metadata.outputs)):
        assert {one["name"]: one["datatype"] for one in by_http[described]} == {t.name: t.datatype for t in tensors}


def test_the_metadata_names_every_output(served: Served, stub: GRPCInferenceServiceStub):
    metadata = stub.ModelMetadata(ModelMetadataRequest(name="redrec"))
    response = stub.ModelInfer(request_of(**QUESTIONS["explained"]))
    described = {tensor.name: tensor.datatype for tensor in metadata.outputs}
    assert {output.name: output.datatype for output in response.outputs} == described


def test_the_guide_lists_all_calls_and_none_loads_or_unloads(stub: GRPCInferenceServiceStub):
    guide = GUIDE.read_text(encoding="utf-8")
    assert set(RPC.findall(guide)) == {name for name in vars(stub) if not name.startswith("_")}
    for call, request in (
        (stub.RepositoryModelLoad, RepositoryModelLoadRequest(model_name="redrec")),
        (stub.RepositoryModelUnload, RepositoryModelUnloadRequest(model_name="redrec")),
    ):
        code, reason = refusal(call, request)
        assert code is StatusCode.UNIMPLEMENTED and "redrec is closed" in reason


@pytest.mark.parametrize(
    "values",
    [
        {"user_id": ["u 1"], "scenario": ["ads"]},
        {"user_id": ["ü 1"], "scenario": ["ads"]},
        {"user_id": ["u"], "scenario": ["radio"]},
        {"user_id": ["u"], "scenario": ["ads"], "k": [1001]},
        {"user_id": ["u"], "scenario": ["ads"], "history": ["[{"]},
        {"user_id": ["u"], "scenario": ["ads"], "history": [json.dumps(HISTORY * 700)]},
        {"user_id": ["u"], "scenario": ["ads", "ads"]},
        {"user_id": ["u"] * 65, "scenario": ["ads"] * 65},
        {"user_id": ["u"]},
        {"user_id": [], "scenario": []},
    ],
)
@pytest.mark.parametrize("is_raw", [False, True])
def test_bad_input_gets_the_reason_that_http_gives(served: Served, values: dict[str, list], is_raw: bool):
    status, by_http = v2(served.url, **values)
    assert status == 400
    assert refusal(served.stub.ModelInfer, request_of(is_raw, **values)) == (
        StatusCode.INVALID_ARGUMENT,
        by_http["error"],
    )


def of_two(*changed: tuple[int, str, Any], raw: list[bytes] | None = None) -> ModelInferRequest:
    """Return a sound request with fields of its first two tensors changed."""
    request = request_of(raw is not None, user_id=["u"], scenario=["ads"])
    for number, field, value in changed:
        if field == "shape":
            del request.inputs[number].shape[:]
            request.inputs[number].shape.extend(value)
        else:
            setattr(request.inputs[number], field, value)
    if raw is not None:
        del request.raw_input_contents[:]
        request.raw_input_contents.extend(raw)
    return request


U, ADS = packed("BYTES", ["u"]), packed("BYTES", ["ads"])
LIES = {
    "a shape of more values": of_two((0, "shape", [2])),
    "a shape of very many": of_two((0, "shape", [2**40, 2**40])),
    "no values in the shape": of_two((0, "shape", [0])),
    "very many dimensions": of_two((0, "shape", [1] * 100_000)),
    "another datatype": of_two((0, "datatype", "INT32")),
    "an unknown datatype": of_two((0, "datatype", "x" * 100_000)),
    "an unknown name": of_two((0, "name", "x" * 100_000)),
    "a raw text longer than its bytes": of_two(raw=[b"\xff\xff\xff\xff", ADS]),
    "a raw text of half a length": of_two(raw=[b"\1\0", ADS]),
    "raw zeros": of_two(raw=[bytes(1_500_000), ADS]),
    "too few raw contents": of_two(raw=[U]),
    "too many raw contents": of_two(raw=[U, ADS] * 1000),
    "raw contents beside others": ModelInferRequest(
        model_name="redrec", inputs=request_of(user_id=["u"], scenario=["ads"]).inputs, raw_input_contents=[U, ADS]
    ),
    "a raw text that is no UTF-8": of_two(raw=[b"\2\0\0\0\xff\xfe", ADS]),
    "raw numbers of another size": ModelInferRequest(
        model_name="redrec",
        inputs=[
            *request_of(True, user_id=["u"], scenario=["ads"]).inputs,
            Tensor(name="k", datatype="INT32", shape=[1]),
        ],
        raw_input_contents=[U, ADS, b"\1\0\0\0\0"],
    ),
    "very many values": request_of(user_id=["u"], scenario=["ads"], k=[3] * 500_000),
    "no tensors": ModelInferRequest(model_name="redrec"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_the_callers_fault_and_takes_no_time(stub: GRPCInferenceServiceStub, lie: str):
    code, reason = refusal(stub.ModelInfer, LIES[lie])
    assert (code, "Traceback" in reason, len(reason) <= 2000) == (StatusCode.INVALID_ARGUMENT, False, True), reason


def test_a_version_and_another_model_are_not_there(stub: GRPCInferenceServiceStub):
    values = {"user_id": ["u"], "scenario": ["ads"]}
    other = request_of(**values)
    other.model_name = "other"
    assert refusal(stub.ModelInfer, other)[0] is StatusCode.NOT_FOUND
    version = request_of(**values)
    version.model_version = "1"
    assert refusal(stub.ModelInfer, version) == (StatusCode.UNIMPLEMENTED, "Model versioning not supported yet.")


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_a_message_beyond_the_limit_of_bodies_is_refused(served: Served, compression: grpc.Compression | None):
    long = request_of(user_id=["0" * 50_000_000], scenario=["ads"])
    sent = [("grpc.max_send_message_length", -1)]
    with stub_of(served.address, options=sent, compression=compression) as stub:
        assert refusal(stub.ModelInfer, long)[0] is StatusCode.RESOURCE_EXHAUSTED
        just_allowed = request_of(user_id=["0" * (MAX_BODY_BYTES - 200)], scenario=["ads"])
        assert refusal(stub.ModelInfer, just_allowed)[0] is StatusCode.INVALID_ARGUMENT


def changed(message: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        first = rng.randrange(len(message) + 1)
        last = min(len(message), first + rng.choice([0, 1, 1, 8, 64]))
        insert = rng.choice([rng.randbytes(1), rng.randbytes(8), b"\xff" * 9, message[:first], b""])
        message = message[:first] + insert + message[last:]
    return message


def test_hostile_messages_are_refused_and_the_next_one_is_answered(served: Served):
    rng, codes = random.Random(1), Counter[StatusCode]()
    values: dict[str, list] = {"user_id": ["u"], "scenario": ["ads"], "k": [3], "history": [TEXT], "explain": [True]}
    with grpc.insecure_channel(served.address) as channel:
        call = channel.unary_unary(INFER)
        for number in range(600):
            try:
                call(changed(request_of(number % 2 == 0, **values).SerializeToString(), rng), timeout=30)
                codes[StatusCode.OK] += 1
            except grpc.RpcError as error:
                codes[error.code()] += 1
                assert "Traceback" not in error.details()
    allowed = {StatusCode.OK, StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.UNIMPLEMENTED}
    assert set(codes) <= allowed and codes[StatusCode.INVALID_ARGUMENT] > 300, codes
    assert served.stub.ModelInfer(request_of(**QUESTIONS["explained"])).outputs


def test_answers_and_refusals_count_as_those_of_http(served: Served):
    def counted() -> list[float]:
        with urlopen(f"{served.url}/metrics", timeout=30) as response:
            text = response.read().decode()
        names = (
            r'redrec_answers_total{reason="unknown_user",scenario="search".*}',
            r'redrec_refused.*_total{status="400"}',
        )
        counters = [re.search(rf"^{name} (\S+)$", text, re.MULTILINE) for name in names]
        return [float(one[1]) if one else 0.0 for one in counters]

    before = counted()
    served.stub.ModelInfer(request_of(user_id=["nobody"], scenario=["search"]))
    refusal(served.stub.ModelInfer, request_of(user_id=["u"]))
    assert np.subtract(counted(), before).tolist() == [1.0, 1.0]


def test_every_answer_until_sigterm_is_whole_and_its_exposure_logged(served: Served):
    """This stops the server, so it is the last test that uses it."""
    answers: list[dict[str, list]] = []
    codes: Counter[StatusCode] = Counter()
    is_over = threading.Event()

    def ask(client: int) -> None:
        with stub_of(served.address) as stub:
            number = 0
            while not is_over.is_set():
                values = {"user_id": [f"drain-{client}-{number}"], "scenario": ["ads"], "history": [TEXT]}
                number += 1
                try:
                    answers.append(values_of(stub.ModelInfer(request_of(**values), timeout=30)))
                except grpc.RpcError as error:
                    codes[error.code()] += 1
                    return

    clients = [threading.Thread(target=ask, args=(client,)) for client in range(8)]
    for client in clients:
        client.start()
    time.sleep(2)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(timeout=20) == 0
    is_over.set()
    for client in clients:
        client.join()
    assert codes == {StatusCode.UNAVAILABLE: len(clients)}  # which clients send to another server
    assert len(answers) > 50
    assert {answer["source"][0] for answer in answers} == {"model"}
    table = read(connect(), served.bundles.features.parent / "exposures", "exposures").to_pyarrow()
    logged = set(table["exposure_id"].to_pylist())
    given = [answer["exposure_id"][0] for answer in answers if answer["exposure_id"][0]]
    assert given and set(given) <= logged and len(table) == len(logged)
    log = served.process.stderr.read()
    assert not re.search("Traceback|WARNING|ERROR|drain-|nobody", log), log


class Servicer(GRPCInferenceServiceServicer):
    """Answers queries once it may, and says at once that it is live."""

    def __init__(self) -> None:
        self.may_answer, self.error = asyncio.Event(), None

    async def ModelInfer(self, request: ModelInferRequest, context: Any) -> ModelInferResponse:  # noqa: N802 (KServe's)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return ModelInferResponse(id=request.id)

    async def ServerLive(self, request: ServerLiveRequest, context: Any) -> ServerLiveResponse:  # noqa: N802 (KServe's)
        return ServerLiveResponse(live=True)


class Lab(NamedTuple):
    servicer: Servicer
    guard: GrpcGuard
    stub: GRPCInferenceServiceStub
    channel: aio.Channel
    port: int


@asynccontextmanager
async def lab_of(max_waiting: int, one: Room, idle_seconds: float = 60) -> AsyncIterator[Lab]:
    servicer, guard = Servicer(), GrpcGuard(Admission(Waiting(), max_waiting), one)
    server = aio.server(interceptors=[guard], options=options(idle_seconds))
    add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Lab(servicer, guard, GRPCInferenceServiceStub(channel), channel, port)
    await server.stop(grace=None)
    assert (guard.admission.waiting.num_queries, guard.admission.num_requests) == (0, 0)
    assert (one.num_requests, one.num_bytes) == (0, 0)


def in_lab(
    run: Callable[[Lab], Coroutine[Any, Any, Any]], max_waiting: int = 99, one: Room | None = None, **idle: float
) -> Any:
    async def session() -> Any:
        async with lab_of(max_waiting, one or Room(), **idle) as lab:
            return await run(lab)

    return asyncio.run(session())


SOUND = request_of(user_id=["u"], scenario=["ads"])


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_waiting": 2}, "2 queries wait. Ask again"),
        ({"one": Room(max_requests=2)}, "answers 2 requests"),
        ({"one": Room(max_bytes=2 * SOUND.ByteSize())}, "bytes at once"),
    ],
)
def test_a_query_beyond_a_limit_is_refused_at_once_and_health_is_not(limits: dict[str, Any], reason: str):
    async def run(lab: Lab) -> None:
        held = [asyncio.ensure_future(lab.stub.ModelInfer(SOUND)) for _ in range(2)]
        await asyncio.sleep(0.2)
        with pytest.raises(aio.AioRpcError) as refused:
            await lab.stub.ModelInfer(SOUND)
        assert (await lab.stub.ServerLive(ServerLiveRequest())).live
        lab.servicer.may_answer.set()
        assert [(await one).id for one in held] == ["request-7"] * 2
        assert (await lab.stub.ModelInfer(SOUND)).id == "request-7"
        assert refused.value.code() is StatusCode.RESOURCE_EXHAUSTED
        assert reason in refused.value.details() and AGAIN_MS in list(refused.value.trailing_metadata())

    in_lab(run, **limits)


def test_a_client_that_sends_no_message_is_told_and_makes_nobody_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "MAX_READ_SECONDS", 0.3)

    async def run(lab: Lab) -> tuple[list, int]:
        call = lab.channel.stream_unary(INFER)  # else gRPC sends the message with the headers
        slow = [asyncio.ensure_future(refusal_of(call())) for _ in range(3)]
        await asyncio.sleep(0.1)
        num_waiting, ended = lab.guard.admission.waiting.num_queries, call()
        await ended.done_writing()
        return [*[await one for one in slow], await refusal_of(ended)], num_waiting

    refusals, num_waiting = in_lab(run)
    codes = [code for code, _ in refusals]
    assert codes == [StatusCode.DEADLINE_EXCEEDED] * 3 + [StatusCode.INVALID_ARGUMENT] and num_waiting == 0
    assert "did not come within" in refusals[0][1] and "without a message" in refusals[3][1]


@pytest.mark.parametrize("num_calls", [MAX_SLOW + 4, MAX_COMING + 4])
def test_few_messages_may_be_slow_and_prompt_ones_are_answered_beside_them(
    num_calls: int, monkeypatch: pytest.MonkeyPatch
):
    """Only gRPC knows how much of a slow message it holds."""
    monkeypatch.setattr(room, "MAX_READ_SECONDS", 1.5)

    async def run(lab: Lab) -> tuple[list, Any]:
        lab.servicer.may_answer.set()
        call = lab.channel.stream_unary(INFER)
        slow = [asyncio.ensure_future(refusal_of(call())) for _ in range(num_calls)]
        await asyncio.sleep(2 * PROMPT_SECONDS)
        answer = await lab.stub.ModelInfer(SOUND)
        return [await one for one in slow], answer

    refusals, answer = in_lab(run)
    codes = Counter(code for code, _ in refusals)
    assert codes == {StatusCode.DEADLINE_EXCEEDED: MAX_SLOW, StatusCode.RESOURCE_EXHAUSTED: num_calls - MAX_SLOW}
    assert "slow messages" in dict(refusals)[StatusCode.RESOURCE_EXHAUSTED] and answer.id == "request-7"


def test_messages_come_at_once_up_to_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "MAX_READ_SECONDS", 0.5)
    monkeypatch.setattr(grpc_server, "PROMPT_SECONDS", 60)

    async def run(lab: Lab) -> list:
        call = lab.channel.stream_unary(INFER)
        coming = asyncio.gather(*[refusal_of(call()) for _ in range(MAX_COMING + 4)])
        await asyncio.sleep(0.1)
        assert lab.guard.queries.num_coming == MAX_COMING and (await lab.stub.ServerLive(ServerLiveRequest())).live
        return await coming

    codes = Counter(code for code, _ in in_lab(run))
    assert codes == {StatusCode.DEADLINE_EXCEEDED: MAX_COMING, StatusCode.RESOURCE_EXHAUSTED: 4}


def test_a_client_that_gives_up_leaves_nothing_behind():
    async def run(lab: Lab) -> None:
        call = lab.stub.ModelInfer(SOUND)
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.sleep(0.1)

    in_lab(run)


def test_connections_that_send_nothing_are_closed():
    async def run(lab: Lab) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
        async with asyncio.timeout(20):
            content = await reader.read()
        writer.close()
        return content

    in_lab(run, idle_seconds=0.5)  # else this would wait for a minute


def test_another_bundles_index_is_unavailable_with_both_ids(caplog: pytest.LogCaptureFixture):
    async def run(lab: Lab) -> tuple[StatusCode, str]:
        lab.servicer.may_answer.set()
        lab.servicer.error = ModelNotReady("redrec", "index of b1, not b2")
        lab.servicer.error.__cause__ = ValueError()
        return await refusal_of(lab.stub.ModelInfer(SOUND))

    code, reason = in_lab(run)
    assert code is StatusCode.UNAVAILABLE and "index of b1, not b2" in reason
    assert "index of b1, not b2" in caplog.text


def test_a_long_reason_in_any_script_arrives():
    async def run(lab: Lab) -> tuple[StatusCode, str]:
        lab.servicer.may_answer.set()
        lab.servicer.error = NotImplementedError("漢" * 100_000)
        return await refusal_of(lab.stub.ModelInfer(SOUND))

    code, reason = in_lab(run)
    assert code is StatusCode.UNIMPLEMENTED and set(reason) == {"漢"}
