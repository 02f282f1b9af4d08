"""Decisions: the newest decision of an experiment in a scenario, by GET, for release tools and dashboards."""

from fastapi.responses import JSONResponse

from redrec.experiments.allocation import Allocation
from serving.bodies import NewestDecision
from serving.followed_allocation import FollowedAllocation
from serving.requests import MAX_SHOWN


class DecisionRoute:
    """`get` is the route's function."""

    def __init__(self, followed: FollowedAllocation) -> None:
        self.followed = followed

    async def get(self, experiment: str, scenario: str) -> JSONResponse:
        allocation = self.followed.allocation
        if fault := why_no_decision(allocation, experiment, scenario):
            return JSONResponse({"error": fault}, 404)
        decision = allocation.decisions[scenario]
        newest = NewestDecision(
            experiment=experiment,
            scenario=scenario,
            plan_hash=allocation.plan_hash,
            verdict=decision.verdict,
            rule=decision.rule,
            reason=decision.reason,
            look=decision.look,
        )
        return JSONResponse(newest.model_dump())


def why_no_decision(allocation: Allocation, experiment: str, scenario: str) -> str | None:
    """Return why there is no decision, None if there is one."""
    plan = allocation.plan
    if experiment != plan.experiment:
        return f"There is no experiment {experiment[:MAX_SHOWN]!r}; this server has {plan.experiment!r}."
    if scenario not in plan.scenarios:
        scenarios = ", ".join(plan.scenarios)
        return f"Experiment {experiment!r} has no scenario {scenario[:MAX_SHOWN]!r}; it has {scenarios}."
    if scenario not in allocation.decisions:
        return f"Nothing is decided yet in scenario {scenario!r} of experiment {experiment!r}: the allocation has none."
    return None
