"""Quality gate: may a model replace the live one? Its ranks beside those of the live model and of what learns nothing.

A model is refused if it is clearly behind a rival in a scenario: the whole interval of the difference, over the same
users, is below zero, and the loss is larger than the margin. The rivals are the live model, where the evaluation has
measured it, and the best of the baselines that learn nothing. A scenario with too few users for an interval neither
passes nor refuses a model; one that no scenario could measure is refused.

Shapes: U users, T targets of a user.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from redrec.config import Config, Record
from redrec.evaluation.evaluate import LIVE, TOWERS
from redrec.evaluation.metrics import METRIC_PATTERN, user_metrics
from redrec.folders import EvaluationFolder, read_json
from redrec.history import Ints
from redrec.intervals import Gain, paired_gain
from redrec.markdown import verdict_table

WITHOUT_LEARNING = ("own_counts", "recent_popularity", "popularity")
SEED = 0  # of the intervals' resamples
GateOutcome = Literal["pass", "refuse", "unmeasured"]

Values = NDArray[np.float64]


class QualityGateConfig(Config):
    metric: str = Field(default="ndcg@10", pattern=METRIC_PATTERN)
    live_margin: float = Field(default=0.02, ge=0, lt=1)  # accepted loss, a share of what the live model reaches
    baseline_margin: float = Field(default=0.0, ge=0, lt=1)  # the same of a baseline: it costs nothing to serve


DEFAULTS = QualityGateConfig()


class RivalGain(Record):
    """How far the model is above a rival on the same users; the interval is of the difference."""

    rival: str
    model_value: float
    rival_value: float
    low: float | None
    high: float | None
    users: int
    margin: float
    is_behind: bool


class ScenarioGate(Record):
    verdict: GateOutcome
    reason: str
    rivals: tuple[RivalGain, ...]


class QualityGate(Record):
    verdict: Literal["pass", "refuse"]
    metric: str
    scenarios: dict[str, ScenarioGate]

    def decision(self, is_requested: bool) -> Literal["deploy", "refuse", "pass"]:
        """Return what to do with the model, if its deployment `is_requested`."""
        return "deploy" if is_requested and self.verdict == "pass" else self.verdict

    @property
    def markdown(self) -> str:
        """The verdict and the reason of each scenario, as a page."""
        title = "The model may be deployed." if self.verdict == "pass" else "**The model is not deployed.**"
        rows = {name: (gate.verdict, gate.reason) for name, gate in self.scenarios.items()}
        return f"{title}\n\n{verdict_table(rows)}"


def quality_gate(evaluation: Path, config: QualityGateConfig = DEFAULTS) -> QualityGate:
    """Decide from the folder of an evaluation; the users' table has the ranks, but not the scenarios without users."""
    files = EvaluationFolder(evaluation)
    table = pq.read_table(files.users, columns=["user_id", "scenario", "model", "ranks"])
    scenarios = {}
    for name in read_json(files.metrics)["scenarios"]:
        of_scenario = table.filter(pc.field("scenario") == name)
        scenarios[name] = scenario_gate(values_of(of_scenario, config.metric), config)
    return QualityGate(verdict=_overall(scenarios), metric=config.metric, scenarios=scenarios)


def values_of(users: pa.Table, metric: str) -> dict[str, Values]:
    """Return each model's metric per user, `value_U`, in the same order of the users."""
    values = {}
    for model in pc.unique(users["model"]).to_pylist():
        ranks = users.filter(pc.field("model") == model).sort_by("user_id")["ranks"].to_pylist()
        values[model] = user_metrics(_padded(ranks), (int(metric.partition("@")[2]),))[metric]
    return values


def _padded(ranks: list[list[int]]) -> Ints:
    rank_UT = np.zeros((len(ranks), max(map(len, ranks), default=1)), dtype=np.int64)
    for rank_T, of_user in zip(rank_UT, ranks, strict=True):
        rank_T[: len(of_user)] = of_user
    return rank_UT


def scenario_gate(values: Mapping[str, Values], config: QualityGateConfig) -> ScenarioGate:
    """Compare one scenario's `value_U` of the model with those of its rivals, by the model's name."""
    if TOWERS not in values:
        return ScenarioGate(verdict="unmeasured", reason="no test users", rivals=())
    best = max(WITHOUT_LEARNING, key=lambda name: values[name].mean())
    margins = {best: config.baseline_margin}
    if LIVE in values:
        margins = {LIVE: config.live_margin, **margins}
    rivals = tuple(_rival_gain(name, values[TOWERS], values[name], margin) for name, margin in margins.items())
    return ScenarioGate(verdict=_verdict(rivals), reason="; ".join(map(_described, rivals)), rivals=rivals)


def _rival_gain(name: str, model_U: Values, rival_U: Values, margin: float) -> RivalGain:
    gain = paired_gain(model_U, rival_U, SEED)
    return RivalGain(
        rival=name,
        model_value=model_U.mean(),
        rival_value=rival_U.mean(),
        low=gain.difference.low,
        high=gain.difference.high,
        users=gain.difference.users,
        margin=margin,
        is_behind=_is_behind(gain, margin),
    )


def _is_behind(gain: Gain, margin: float) -> bool:
    high, share = gain.difference.high, gain.relative.value
    return high is not None and share is not None and high < 0 and share < -margin


def _verdict(rivals: tuple[RivalGain, ...]) -> GateOutcome:
    if any(rival.is_behind for rival in rivals):
        return "refuse"
    return "unmeasured" if any(rival.high is None for rival in rivals) else "pass"


def _described(rival: RivalGain) -> str:
    values = f"{rival.model_value:.4f}, {rival.rival} {rival.rival_value:.4f}"
    if rival.low is None or rival.high is None:
        return f"{values}: {rival.users} users are too few for an interval"
    words = f"worse by more than {rival.margin:.0%}" if rival.is_behind else "not clearly worse"
    return f"{values}: {words}, difference [{rival.low:+.4f}, {rival.high:+.4f}] over {rival.users:,} users"


def _overall(scenarios: Mapping[str, ScenarioGate]) -> Literal["pass", "refuse"]:
    verdicts = {gate.verdict for gate in scenarios.values()}
    return "pass" if "pass" in verdicts and "refuse" not in verdicts else "refuse"
