"""Plan: what is fixed before an experiment begins, and the hash that says whether it has changed since.

The error rates of the gate hold for the plan that the experiment began with. So every decision carries the plan's hash,
and a plan with another hash is another experiment. The coverage is not hashed: it may change while the experiment runs,
since no user then changes between the arms.
"""

import hashlib
from itertools import chain, pairwise
from typing import Literal, Self

from pydantic import AwareDatetime, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from redrec.config import Config

WEEK = 7  # days; weekdays differ, so a promotion is decided on whole weeks
HASH_DIGITS = 16


class Arm(Config):
    name: str
    weight: float = Field(default=0.5, gt=0, lt=1)
    bundle: str | None = None  # id of the release bundle that it serves


class Namespace(Config):
    """The users who may be in an experiment; experiments with disjoint ranges of one namespace share no user."""

    name: str = Field(min_length=1)
    low: float = Field(ge=0, lt=1)  # of a user's bucket in the namespace, which is in [0, 1)
    high: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low is below high; seen: {self.low} and {self.high}")
        return self


class Metric(Config):
    """Per exposed user, the sum of one event's values; with `per`, over the sum of another event's."""

    event: str
    per: str | None = None
    direction: Literal["up", "down"] = "up"  # which one is better

    @property
    def name(self) -> str:
        """Return the name in reports.

        >>> Metric(event="click", per="impression").name
        'click/impression'
        """
        return f"{self.event}/{self.per}" if self.per else self.event

    @property
    def sign(self) -> int:
        return 1 if self.direction == "up" else -1

    @property
    def events(self) -> tuple[str, ...]:
        return (self.event, self.per) if self.per else (self.event,)


def before_the_start(event: str) -> str:
    return f"{event} before"


class Guardrail(Metric):
    margin: float = Field(gt=0, lt=1)  # relative change for the worse that is accepted


class Plan(Config):
    experiment: str = Field(min_length=1)
    scenarios: tuple[str, ...] = Field(min_length=1)
    start: AwareDatetime
    days: PositiveInt = 14
    looks: tuple[PositiveInt, ...] = ()  # days after which a promotion may be decided; empty: each week, and the last
    control: Arm = Arm(name="control")
    treatment: Arm = Arm(name="treatment")
    coverage: float = Field(default=1.0, ge=0, le=1)  # share of the users in the experiment; 0 switches it off
    namespace: Namespace | None = None
    applies: Literal["per_scenario", "shared"] = "per_scenario"  # shared: one arm, and one verdict, for all scenarios
    primary: Metric = Metric(event="click", per="impression")
    guardrails: tuple[Guardrail, ...] = (Guardrail(event="hide", per="impression", direction="down", margin=0.10),)
    # Of the primary's event per exposed user, a guardrail too: a ratio rises when weak users are shown less.
    volume_margin: float = Field(default=0.03, gt=0, lt=1)  # also of a shared plan's primary in each scenario
    alpha: float = Field(default=0.05, gt=0, lt=0.5)  # one-sided, of any false promotion
    harm_alpha: float = Field(default=0.025, gt=0, lt=0.5)  # one-sided, of a false rollback of one scenario
    min_users: PositiveInt = 100  # per arm; below it nothing is decided
    min_events: PositiveInt = 50  # of a metric's event, in both arms together
    max_both_arms_share: float = Field(default=0.01, ge=0, lt=1)  # of users seen in both arms, which are dropped
    # CUPED: of the primary's events, what users did so many days before the start explains part of what they do; 0: off
    covariate_days: NonNegativeInt = 0
    attribution_hours: PositiveFloat | None = None  # after a user's first exposure; absent: to the end
    watermark_hours: NonNegativeFloat = 0  # how late events may come in; a day is decided so long after its end

    @model_validator(mode="after")
    def _is_decidable(self) -> Self:
        if abs(self.control.weight + self.treatment.weight - 1) > 1e-9 or self.control.name == self.treatment.name:
            raise ValueError("control and treatment need two names, and weights that sum to 1")
        if len(set(self.scenarios)) < len(self.scenarios):
            raise ValueError("a scenario is named twice")
        if any(later <= earlier for earlier, later in pairwise(self.looks)) or max(self.looks, default=0) > self.days:
            raise ValueError(f"looks are days in ascending order, at most {self.days}")
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"a metric is named twice: {', '.join(names)}")
        return self

    @property
    def volume(self) -> Guardrail | None:
        """The primary's event per exposed user, as a guardrail; absent where that is the primary."""
        if self.primary.per is None:
            return None
        return Guardrail(event=self.primary.event, direction=self.primary.direction, margin=self.volume_margin)

    @property
    def all_guardrails(self) -> tuple[Guardrail, ...]:
        return (self.volume, *self.guardrails) if self.volume else self.guardrails

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (self.primary, *self.all_guardrails)

    @property
    def events(self) -> tuple[str, ...]:
        """The events that metrics name, each once."""
        of_metrics = chain.from_iterable(metric.events for metric in self.metrics)
        return tuple(dict.fromkeys(of_metrics))

    @property
    def covariate_events(self) -> tuple[str, ...]:
        """The events that are summed before the start, too."""
        return self.primary.events if self.covariate_days else ()

    @property
    def covariates(self) -> tuple[str, ...]:
        """The names of those sums."""
        return tuple(map(before_the_start, self.covariate_events))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all sums."""
        return (*self.events, *self.covariates)

    def covariate(self, metric: Metric) -> Metric | None:
        """Return the metric before the start; None if there is no covariate of one of its events."""
        names = tuple(map(before_the_start, metric.events))
        return Metric(event=names[0], per=names[1] if metric.per else None) if {*names} <= {*self.covariates} else None

    @property
    def promotion_days(self) -> tuple[int, ...]:
        """Return the days after which a promotion may be decided.

        >>> from datetime import UTC, datetime
        >>> Plan(experiment="a", scenarios=("ads",), start=datetime(2026, 1, 1, tzinfo=UTC), days=17).promotion_days
        (7, 14, 17)
        """
        return self.looks or tuple(dict.fromkeys([*range(WEEK, self.days, WEEK), self.days]))

    @property
    def arms(self) -> tuple[Arm, Arm]:
        return self.control, self.treatment

    def seed(self, scenario: str) -> str:
        """Return what a user's bucket is hashed with; its colon keeps experiments with a common start apart."""
        return f"{self.experiment}:" if self.applies == "shared" else f"{self.experiment}:{scenario}:"

    def hash(self) -> str:
        """Return a hash of all but the coverage."""
        content = self.model_dump_json(exclude={"coverage"})
        return hashlib.sha256(content.encode()).hexdigest()[:HASH_DIGITS]
