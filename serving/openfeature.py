"""OpenFeature provider: other services get the arms that the predictor serves, from the same file or ConfigMap.

A flag is a scenario of the experiment: its key is `EXPERIMENT/SCENARIO`, or `EXPERIMENT` with the scenario as the
context's attribute `scenario`. Its value, a text, is the name of the arm; the targeting key is the user's id.

The reason is SPLIT for users of the running experiment, TARGETING_MATCH for an arm that a decided scenario serves to
all, DISABLED at a coverage of 0, and DEFAULT for others, who get the control. The metadata say which bundle the arm
has, and whether the service should log an exposure.

One provider is for one experiment; a service with several binds each to a domain of its own.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import NoReturn

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    FlagNotFoundError,
    InvalidContextError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from redrec.experiments.allocation import Allocation, Allotted, allotted
from redrec.experiments.plan import Plan
from serving.allocation_file import AllocationFile
from serving.allocation_map import AllocationMap, followed
from serving.config_map import MapName

SCENARIO = "scenario"  # attribute of the context
STOP_S = 5.0


class ExperimentProvider(AbstractProvider):
    """Follows the allocation between `initialize` and `shutdown`, which the SDK calls.

    Raises:
        InputError: It cannot be read, or is none.
    """

    def __init__(self, allocation: Path | MapName) -> None:
        super().__init__()
        self.followed = followed(allocation, lambda _: None)
        self.follower: Follower | None = None

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        self.follower = Follower(self.followed)
        self.follower.start()

    def shutdown(self) -> None:
        if self.follower is not None:
            self.follower.stop()

    def get_metadata(self) -> Metadata:
        return Metadata(name="redrec")

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Return the user's arm; the default value is for errors, which the SDK handles."""
        allocation, context = self.followed.allocation, evaluation_context or EvaluationContext()
        scenario = scenario_of(flag_key, context, allocation.plan)
        if not context.targeting_key:
            raise TargetingKeyMissingError(f"{flag_key}: the targeting key is the user's id; there is none.")
        given = allotted(allocation, scenario, context.targeting_key, datetime.now(UTC))
        metadata: dict[str, bool | str] = {"plan_hash": allocation.plan_hash, "is_exposure": given.is_exposure}
        if given.arm.bundle is not None:
            metadata["bundle_id"] = given.arm.bundle
        return FlagResolutionDetails(
            value=given.arm.name,
            variant=given.arm.name,
            reason=reason_of(given, scenario, allocation),
            flag_metadata=metadata,
        )

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        self._refuse(flag_key, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        self._refuse(flag_key, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        self._refuse(flag_key, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        self._refuse(flag_key, evaluation_context)

    def _refuse(self, flag_key: str, context: EvaluationContext | None) -> NoReturn:
        scenario_of(flag_key, context or EvaluationContext(), self.followed.allocation.plan)
        raise TypeMismatchError(f"{flag_key} is a text, the name of an arm. Ask for a string.")


class Follower(Thread):
    """Follows an allocation on an event loop of its own, since the SDK has none."""

    def __init__(self, allocation: AllocationFile | AllocationMap) -> None:
        super().__init__(name="allocation", daemon=True)
        self.loop = asyncio.new_event_loop()
        self.following = self.loop.create_task(allocation.follow())

    def run(self) -> None:
        self.loop.run_until_complete(asyncio.wait([self.following]))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.following.cancel)
        self.join(STOP_S)


def scenario_of(flag_key: str, context: EvaluationContext, plan: Plan) -> str:
    """Return the scenario that a flag is of; the plan need not have it if the context names it.

    Raises:
        FlagNotFoundError: The key is of another experiment, or names a scenario that the plan has not.
        InvalidContextError: Neither the key nor the context names a scenario.
    """
    if flag_key == plan.experiment:
        named = context.attributes.get(SCENARIO)
        if not isinstance(named, str):
            raise InvalidContextError(
                f"{flag_key}: the context's attribute {SCENARIO} is a text; seen: {named!r}. Give it, or ask for one "
                f"of {', '.join(keys_of(plan))}."
            )
        return named
    if flag_key not in keys_of(plan):
        raise FlagNotFoundError(
            f"There is no flag {flag_key!r}; this provider has {plan.experiment}, {', '.join(keys_of(plan))}."
        )
    return flag_key.removeprefix(f"{plan.experiment}/")


def keys_of(plan: Plan) -> list[str]:
    return [f"{plan.experiment}/{scenario}" for scenario in plan.scenarios]


def reason_of(given: Allotted, scenario: str, allocation: Allocation) -> Reason:
    if scenario in allocation.serves:
        return Reason.TARGETING_MATCH
    if given.is_exposure:
        return Reason.SPLIT
    return Reason.DISABLED if allocation.plan.coverage == 0 else Reason.DEFAULT
