"""Drift verdicts: scores per column in, one verdict per scenario with its reason out.

The verdict of this first version compares a score per column with a threshold on the size of the change; a permutation
test over users, which also controls false alarms at any sample size, is to replace it. A scenario with fewer users than
`min_users` in a window is `insufficient`: scores of two equal small samples are large.

A method or a threshold is changed or added here alone: `column_rule` decides, and the reports take it from there.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field, PositiveInt

from redrec.config import Config, Record
from redrec.drift.windows import NUMERIC, ScenarioWindows, Windows
from redrec.markdown import verdict_table

DriftVerdict = Literal["stable", "drift", "insufficient"]


class DriftConfig(Config):
    """The thresholds are above the 99th percentile of the scores of two equal samples of `min_users` users.

    In 2 000 draws of 200 against 200: 0.27 (normal) and 0.29 (exponential), 0.20 for ten equal categories.
    """

    min_users: PositiveInt = 200  # in each window
    numeric_threshold: float = Field(default=0.30, gt=0)
    categorical_threshold: float = Field(default=0.25, gt=0)


class ColumnRule(NamedTuple):
    """How a column is scored, as Evidently names the method, and the score from which on it has drifted."""

    method: str
    threshold: float


class ColumnDrift(Record):
    method: str
    score: float
    threshold: float
    is_drifted: bool


class ScenarioDrift(Record):
    verdict: DriftVerdict
    reason: str
    users: dict[Literal["reference", "current"], int]
    windows: dict[Literal["reference", "current"], tuple[str, str]]
    columns: dict[str, ColumnDrift]
    report: str | None  # file name of the HTML; None if the data is insufficient


def column_rule(name: str, config: DriftConfig) -> ColumnRule:
    if name in NUMERIC:
        return ColumnRule("wasserstein", config.numeric_threshold)  # in standard deviations of the reference
    return ColumnRule("jensenshannon", config.categorical_threshold)


def shortage(windows: Windows, users: ScenarioWindows, config: DriftConfig) -> str | None:
    """Return why the windows cannot be compared, None if they can."""
    if not windows.is_reference_whole:
        return "the training window is shorter than the newest one, so users' counts cannot be compared"
    fewest = min(len(users.reference), len(users.current))
    return f"{fewest} users in a window, fewer than {config.min_users}" if fewest < config.min_users else None


def scenario_drift(
    windows: Windows, users: ScenarioWindows, scores: Mapping[str, float], shortage: str | None, config: DriftConfig
) -> ScenarioDrift:
    """Return the verdict on the scores by column; with a `shortage` there are no scores, and it is the reason."""
    columns = {name: _column_drift(score, column_rule(name, config)) for name, score in scores.items()}
    drifted = [f"{name} {column.score:.2f}" for name, column in columns.items() if column.is_drifted]
    reason = f"past the threshold: {', '.join(drifted)}" if drifted else "no column is past its threshold"
    verdict: DriftVerdict = "drift" if drifted else "stable"
    return ScenarioDrift(
        verdict="insufficient" if shortage else verdict,
        reason=shortage or reason,
        users={"reference": len(users.reference), "current": len(users.current)},
        windows={
            "reference": (windows.reference.start.isoformat(), windows.reference.end.isoformat()),
            "current": (windows.current.start.isoformat(), windows.current.end.isoformat()),
        },
        columns=columns,
        report=None,
    )


def next_step(verdicts: Mapping[str, Mapping[str, Any]], is_training_requested: bool) -> str:
    """Return what the verdicts call for: `train` after drift if that is requested, else `drift`, else `stable`.

    >>> next_step({"ads": {"verdict": "stable"}, "feed": {"verdict": "drift"}}, is_training_requested=True)
    'train'
    """
    if all(verdict["verdict"] != "drift" for verdict in verdicts.values()):
        return "stable"
    return "train" if is_training_requested else "drift"


def verdicts_markdown(verdicts: Mapping[str, Mapping[str, Any]]) -> str:
    return verdict_table({name: (verdict["verdict"], verdict["reason"]) for name, verdict in verdicts.items()})


def _column_drift(score: float, rule: ColumnRule) -> ColumnDrift:
    return ColumnDrift(method=rule.method, score=score, threshold=rule.threshold, is_drifted=score >= rule.threshold)
