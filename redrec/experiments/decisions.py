"""Decisions: what the gate returns, as JSON and as Markdown."""

from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime, Field

from redrec.config import Record
from redrec.markdown import verdict_table

Verdict = Literal["promote", "hold", "rollback", "invalid", "insufficient"]
SCHEMA = "redrec/decisions/1"


class MetricNumbers(Record):
    """One metric at the look that decided; relative changes are of the treatment against the control.

    Against a control of zero there is none.
    """

    control: float
    treatment: float
    relative: float | None
    low: float | None  # each bound of the interval holds at the level of the boundary
    high: float | None
    adjusted: float | None  # of a promoted metric: the relative change without what stopping on a high day adds
    z: float | None = None  # of the metric's own test: that it is better, or of a guardrail within its margin
    boundary: float | None = None
    harm_z: float | None = None  # of the test that it is worse
    harm_boundary: float | None = None
    information: float | None = None  # one over the squared standard error of the relative change


class Decision(Record):
    verdict: Verdict
    rule: str
    reason: str
    look: int  # days after the start
    users: dict[str, int]
    srm: float | None = None  # evidence of a sample ratio mismatch; above 1000 it is one
    both_arms_share: float = 0.0
    metrics: dict[str, MetricNumbers] = Field(default_factory=dict)


class Result(Record):
    schema_name: str = Field(default=SCHEMA, alias="schema")
    experiment: str
    plan_hash: str
    input_digest: str  # of what counts; duplicates do not
    through: AwareDatetime  # end of the newest day that is complete in some scenario
    look: int
    verdict: Verdict
    scenarios: dict[str, Decision]
    total: Decision | None = None  # of all scenarios together, where one arm is for all


def joint_verdict(decisions: Mapping[str, Decision]) -> Verdict:
    """Return the verdict for a service that has one release for all scenarios.

    One scenario's rollback is a rollback, since the treatment is worse there; a promotion needs all of them.
    """
    verdicts = {decision.verdict for decision in decisions.values()}
    for verdict in ("rollback", "invalid", "insufficient"):
        if verdict in verdicts:
            return verdict
    return "promote" if verdicts == {"promote"} else "hold"


def decisions_markdown(decisions: Mapping[str, Decision]) -> str:
    return verdict_table({name: (decision.verdict, decision.reason) for name, decision in decisions.items()})
