"""Arms: each query is answered by the bundle that the allocation gives its user, and exposures are logged.

Only an answer that an assigned arm's model gave is an exposure: no medoids or fallback, and not the control's answer to
a user of the treatment whose index holds another bundle's rows. Before an experiment starts, its users may get lists of
both arms (`serving.interleaved`).
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.experiments.allocation import Allocation, allotted
from redrec.experiments.plan import Arm, Plan
from redrec.experiments.team_draft import Team
from redrec.index.milvus import BundleMismatchError
from serving.allocation_map import followed
from serving.config import ServingConfig
from serving.exposures import INTERLEAVED, MAX_QUEUED_LISTS, Exposure, ExposureLog, destination, interleaved
from serving.followed_bundle import CHANGES, POLL_S, REFUSED, REPLACED, FollowedBundle
from serving.histories import HistoryReader
from serving.interleaved import interleave, rows_of
from serving.lists import Answer
from serving.requests import Query
from serving.retriever import Retriever
from serving.shedding import Waiting
from serving.stages import together
from serving.start import ExperimentFiles

logger = logging.getLogger(__name__)

DRAIN_S = 10  # several times the sum of all stages' budgets: no request is older
TREATMENT_REFUSED = "treatment_refused"  # the control answered, since the treatment's index is another bundle's


class Served(NamedTuple):
    """An answer and what gave it."""

    answer: Answer
    bundle_id: str
    experiment: str | None = None  # None: the server has no allocation
    arm: str | None = None
    exposure_id: str | None = None  # None: the answer is no exposure
    request_id: str | None = None  # of an interleaved list
    teams: tuple[Team | None, ...] | None = None  # of its items; None: the list is of one arm


class Arms(Protocol):
    """What a predictor serves; `start` and `close` run on the serving event loop.

    `bundle` is the one in service, of an experiment the control's.
    """

    @property
    def bundle(self) -> Bundle: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def answers(self, queries: Sequence[Query]) -> list[Served]: ...


class OneArm:
    """One bundle for all users; its replacement is loaded and warmed up beside it, and takes its place in one step."""

    def __init__(self, path: Path, config: ServingConfig, histories: HistoryReader, waiting: Waiting) -> None:
        self.config, self.histories, self.waiting, self.followed = config, histories, waiting, FollowedBundle(path)
        self.retriever = self._loaded()
        self.following: asyncio.Task[None] | None = None

    @property
    def bundle(self) -> Bundle:
        return self.retriever.bundle

    async def start(self) -> None:
        await self.retriever.start()
        self.following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        if self.following is not None:
            self.following.cancel()
        await self.retriever.close()
        await self.histories.close()

    async def answers(self, queries: Sequence[Query]) -> list[Served]:
        retriever = self.retriever
        return [Served(answer, retriever.bundle.manifest.id) for answer in await retriever.answers(queries)]

    async def _follow(self) -> None:
        """Look at the folder until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            if await asyncio.to_thread(self.followed.is_new):
                await self._replace()

    async def _replace(self) -> None:
        """Serve the bundle that is in the folder now; if it is refused, go on with the one before."""
        try:
            new = await self._started()
        except Exception as error:  # noqa: BLE001 (whatever it is, the bundle before goes on)
            CHANGES.labels(REFUSED).inc()
            logger.error("bundle: refused, %s stays: %s", self.bundle.manifest.id, error)
            return
        old, self.retriever = self.retriever, new
        CHANGES.labels(REPLACED).inc()
        logger.info("bundle: %s in place of %s", new.bundle.manifest.id, old.bundle.manifest.id)
        try:
            await asyncio.sleep(DRAIN_S)
        finally:
            await old.close()

    async def _started(self) -> Retriever:
        new = await asyncio.to_thread(self._loaded)
        try:
            await new.start()
        except BaseException:
            await new.close()
            raise
        return new

    def _loaded(self) -> Retriever:
        return Retriever(self.followed.load(), self.config, self.histories, self.waiting)


class TwoArms:
    """Control and treatment of an experiment, which stay as they are until it ends.

    Both read histories through `histories`, which is closed with them.
    """

    def __init__(
        self,
        control: Bundle,
        treatment: Bundle,
        config: ServingConfig,
        histories: HistoryReader,
        waiting: Waiting,
        files: ExperimentFiles,
    ) -> None:
        def check(allocation: Allocation) -> None:
            check_bundles(allocation, control, treatment)

        self.followed = followed(files.allocation, check)
        self.histories, self.waiting = histories, waiting
        self.control = Retriever(control, config, histories, waiting)
        self.treatment = Retriever(treatment, config, histories, waiting)
        self.exposures = ExposureLog(destination(files.exposures))
        self.interleaved = ExposureLog(destination(interleaved(files.exposures)), MAX_QUEUED_LISTS, INTERLEAVED)
        self.following: asyncio.Task[None] | None = None

    @property
    def bundle(self) -> Bundle:
        return self.control.bundle

    async def start(self) -> None:
        await self.control.start()
        await self.treatment.start()
        self.following = asyncio.create_task(self.followed.follow())

    async def close(self) -> None:
        if self.following is not None:
            self.following.cancel()
        await self.control.close()
        await self.treatment.close()
        await self.histories.close()
        await asyncio.gather(*(asyncio.to_thread(log.close) for log in (self.exposures, self.interleaved)))

    async def answers(self, queries: Sequence[Query]) -> list[Served]:
        """Return each query's answer by itself: the arms' retrievers share no run of a tower."""
        return await together([self.answer(query) for query in queries])

    async def answer(self, query: Query) -> Served:
        """Return the answer of the user's arm, or of both.

        Raises:
            BundleMismatchError: The control's index holds another bundle's rows.
        """
        allocation, moment = self.followed.allocation, datetime.now(UTC)
        given = allotted(allocation, query.scenario, query.user_id, moment)
        if given.is_interleaved:
            return await self._of_both(query, allocation, moment)
        served = await self._served(query, given.arm, allocation.plan)
        is_exposure = given.is_exposure and served.arm == given.arm.name and served.answer.is_of_model
        return self._exposed(served, query, allocation, moment) if is_exposure else served

    async def _served(self, query: Query, arm: Arm, plan: Plan) -> Served:
        """Return the arm's answer, or the control's marked one if the treatment's index is another bundle's."""
        own, experiment, control = self.control.bundle.manifest.id, plan.experiment, plan.control
        if arm == control:
            return Served(await self.control.answer(query), own, experiment, control.name)
        try:
            answer = await self.treatment.answer(query)
        except BundleMismatchError as mismatch:
            logger.warning("treatment: %s", mismatch)
            answer = (await self.control.answer(query))._replace(reason=TREATMENT_REFUSED)
            return Served(answer, own, experiment, control.name)
        return Served(answer, self.treatment.bundle.manifest.id, experiment, arm.name)

    async def _of_both(self, query: Query, allocation: Allocation, moment: datetime) -> Served:
        """Return an interleaved list whose items are logged; the control's answer if a model gave none."""
        plan = allocation.plan
        with self.waiting.here(1):  # one more than the query itself
            control, treatment = await asyncio.gather(*(self._served(query, arm, plan) for arm in plan.arms))
        if treatment.arm != plan.treatment.name:
            return treatment  # the control's, which says why
        if not (control.answer.is_of_model and treatment.answer.is_of_model):
            return control
        query = query.model_copy(update={"request_id": query.request_id or uuid4().hex})
        both = interleave(control.answer, treatment.answer, query, plan.experiment)
        self.interleaved.add(*rows_of(both, query, allocation, moment))
        ids = f"{control.bundle_id}+{treatment.bundle_id}"
        return Served(both.answer, ids, plan.experiment, request_id=query.request_id, teams=both.teams)

    def _exposed(self, served: Served, query: Query, allocation: Allocation, moment: datetime) -> Served:
        """Return the answer with the id of its exposure, if the log has room for one."""
        exposure = Exposure(
            exposure_id=uuid4().hex,
            experiment=str(served.experiment),
            user_id=query.user_id,
            scenario=query.scenario,
            arm=str(served.arm),
            timestamp=moment.isoformat(timespec="milliseconds"),
            bundle_id=served.bundle_id,
            plan_hash=allocation.plan_hash,
        )
        return served._replace(exposure_id=exposure.exposure_id) if self.exposures.add(exposure) else served


def check_bundles(allocation: Allocation, control: Bundle, treatment: Bundle) -> None:
    """Check that the arms' bundles are those of the plan, and know its scenarios.

    Raises:
        InputError: One is another, or does not.
    """
    plan = allocation.plan
    for arm, bundle in zip(plan.arms, (control, treatment), strict=True):
        own = bundle.manifest.id
        if arm.bundle not in (None, own):
            raise InputError(
                f"Arm {arm.name} of experiment {plan.experiment} serves bundle {arm.bundle}, but {bundle.path} is "
                f"bundle {own}. Give the bundle of the plan, or plan another experiment."
            )
        unknown = [scenario for scenario in plan.scenarios if scenario not in bundle.manifest.scenarios]
        if unknown:
            raise InputError(
                f"Experiment {plan.experiment} has scenario {', '.join(unknown)}, which bundle {own} of arm {arm.name} "
                f"does not know; it knows {', '.join(bundle.manifest.scenarios)}. Leave it out of the plan."
            )
