"""Drift: the data folder in; one Evidently report per scenario and a verdict for each out.

Scenarios are split before Evidently sees them: a pooled report misses drift in a small scenario, and Evidently's
own grouping silently repeats the whole data's value for every group. `monitoring.windows` says what is compared.

The verdict of this first version is Evidently's score per column against a threshold on the size of the change;
a permutation test over users, which also controls false alarms at any sample size, is to replace it. A scenario
with fewer users than `min_users` in a window is `insufficient`: scores of two equal small samples are large.
"""

import json
import os
import warnings
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field, PositiveInt

from monitoring.windows import CATEGORICAL, NUMERIC, ScenarioWindows, Windows, load_windows
from redrec.config import Config
from redrec.staging import staged

Verdict = Literal["stable", "drift", "insufficient"]

NUMERIC_METHOD = "wasserstein"  # in standard deviations of the reference
CATEGORICAL_METHOD = "jensenshannon"


class DriftConfig(Config):
    """Thresholds lie above the 99th percentile of the scores of two equal samples of `min_users` users.

    In 2 000 draws of 200 against 200: 0.27 (normal) and 0.29 (exponential), 0.20 for ten equal categories.
    """

    min_users: PositiveInt = 200  # in each window
    numeric_threshold: float = Field(default=0.30, gt=0)
    categorical_threshold: float = Field(default=0.25, gt=0)


class ColumnDrift(Config):
    method: str
    score: float
    threshold: float
    is_drifted: bool


class ScenarioDrift(Config):
    verdict: Verdict
    reason: str
    users: dict[Literal["reference", "current"], int]
    windows: dict[Literal["reference", "current"], tuple[str, str]]
    columns: dict[str, ColumnDrift]
    report: str | None  # file name of the HTML; none is drawn from insufficient data


def report_drift(data: Path, out: Path, config: DriftConfig | None = None) -> dict[str, dict[str, Any]]:
    """Write `out/<scenario>.html` and `out/drift.json`; return the content of the latter, by scenario.

    Raises:
        InputError: `data` lacks its event or item table.
    """
    config = config or DriftConfig()
    windows = load_windows(data)
    with staged(out) as folder:
        found = {name: _scenario_drift(name, windows, folder, config).model_dump() for name in windows.scenarios}
        (folder / "drift.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    return found


def _scenario_drift(scenario: str, windows: Windows, folder: Path, config: DriftConfig) -> ScenarioDrift:
    users = windows.scenarios[scenario]
    reason = _shortage(windows, users, config)
    columns, report = {}, None
    if reason is None:
        report = scenario.replace("/", "_") + ".html"
        columns = _evidently_report(scenario, users, folder / report, config)
        drifted = [f"{name} {column.score:.2f}" for name, column in columns.items() if column.is_drifted]
        reason = f"past the threshold: {', '.join(drifted)}" if drifted else "no column is past its threshold"
    return ScenarioDrift(
        verdict="insufficient" if report is None else _verdict(columns),
        reason=reason,
        users={"reference": len(users.reference), "current": len(users.current)},
        windows={
            "reference": (windows.reference.start.isoformat(), windows.reference.end.isoformat()),
            "current": (windows.current.start.isoformat(), windows.current.end.isoformat()),
        },
        columns=columns,
        report=report,
    )


def _verdict(columns: dict[str, ColumnDrift]) -> Verdict:
    return "drift" if any(column.is_drifted for column in columns.values()) else "stable"


def _shortage(windows: Windows, users: ScenarioWindows, config: DriftConfig) -> str | None:
    if not windows.is_reference_whole:
        return "the training window is shorter than the newest one, so users' counts cannot be compared"
    fewest = min(len(users.reference), len(users.current))
    return f"{fewest} users in a window, fewer than {config.min_users}" if fewest < config.min_users else None


def _evidently_report(scenario: str, users: ScenarioWindows, file: Path, config: DriftConfig) -> dict[str, ColumnDrift]:
    """Write the HTML report and return the scores by column."""
    os.environ.setdefault("DO_NOT_TRACK", "1")  # Evidently reports its use otherwise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Evidently's own dependencies, 7 s of imports
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        numeric = [name for name in NUMERIC if name in users.current.columns]
        categorical = [name for name in CATEGORICAL if name in users.current.columns]
        definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)

        def dataset(frame: pd.DataFrame) -> Dataset:
            return Dataset.from_pandas(frame, data_definition=definition)

        preset = DataDriftPreset(
            columns=[*numeric, *categorical],
            num_method=NUMERIC_METHOD,
            num_threshold=config.numeric_threshold,
            cat_method=CATEGORICAL_METHOD,
            cat_threshold=config.categorical_threshold,
        )
        report = Report([preset], tags=[scenario], metadata={"scenario": scenario})
        snapshot = report.run(dataset(users.current), dataset(users.reference))  # in this order
        snapshot.save_html(str(file))
    return _scores(snapshot.dict(), config)


def _scores(snapshot: dict[str, Any], config: DriftConfig) -> dict[str, ColumnDrift]:
    scores = {
        metric["config"]["column"]: float(metric["value"])
        for metric in snapshot["metrics"]
        if "column" in metric["config"]
    }
    return {name: _column_drift(name, score, config) for name, score in scores.items()}


def _column_drift(name: str, score: float, config: DriftConfig) -> ColumnDrift:
    is_numeric = name in NUMERIC
    threshold = config.numeric_threshold if is_numeric else config.categorical_threshold
    method = NUMERIC_METHOD if is_numeric else CATEGORICAL_METHOD
    return ColumnDrift(method=method, score=score, threshold=threshold, is_drifted=score >= threshold)
