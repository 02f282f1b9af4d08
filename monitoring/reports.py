"""Reports: the data folder in; one Evidently report per scenario and its verdict (`redrec.drift`) out.

Scenarios are separated before Evidently reads them: a pooled report misses drift in a small scenario, and Evidently's
own grouping silently repeats the value of the whole data for every group.
"""

import html
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from redrec.atomic import replaced_folder
from redrec.data.scenarios import slug
from redrec.drift.verdicts import DriftConfig, ScenarioDrift, column_rule, scenario_drift, shortage
from redrec.drift.windows import CATEGORICAL, NUMERIC, ScenarioWindows, Windows, load_windows
from redrec.folders import DriftFolder, write_json

FRAME_STYLE = 'style="width:100%;height:80vh;border:0"'


def report_drift(data: Path, out: Path, config: DriftConfig | None = None) -> dict[str, dict[str, Any]]:
    """Write one HTML file per scenario and the verdicts into `out`; return the verdicts by scenario.

    Raises:
        InputError: `data` lacks its event or item table.
    """
    config = config or DriftConfig()
    windows = load_windows(data)
    with replaced_folder(out) as folder:
        verdicts = {name: _scenario(name, windows, folder, config).model_dump() for name in windows.scenarios}
        write_json(DriftFolder(folder).verdicts, verdicts)
    return verdicts


def report_page(folder: Path, verdicts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the reports of all scenarios as one page that loads no other file: KFP shows one file only."""
    sections = []
    for scenario, verdict in verdicts.items():
        title = html.escape(f"{scenario}: {verdict['verdict']} ({verdict['reason']})")
        frame = ""
        if verdict["report"]:
            content = html.escape((folder / verdict["report"]).read_text(encoding="utf-8"))
            frame = (
                f'<iframe sandbox="allow-scripts" style="width:100%;height:80vh;border:0" srcdoc="{content}"></iframe>'
            )
        sections.append(f"<h2>{title}</h2>{frame}")
    return f'<!doctype html><meta charset="utf-8"><title>Drift</title>{"".join(sections)}'


def _scenario(scenario: str, windows: Windows, folder: Path, config: DriftConfig) -> ScenarioDrift:
    users = windows.scenarios[scenario]
    reason = shortage(windows, users, config)
    if reason:
        return scenario_drift(windows, users, {}, reason, config)
    report = slug(scenario) + ".html"
    scores = _evidently_report(scenario, users, folder / report, config)
    return scenario_drift(windows, users, scores, None, config).model_copy(update={"report": report})


def _evidently_report(scenario: str, users: ScenarioWindows, file: Path, config: DriftConfig) -> dict[str, float]:
    """Write the HTML report and return the scores by column."""
    os.environ.setdefault("DO_NOT_TRACK", "1")  # otherwise Evidently sends usage statistics
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Evidently's own dependencies, 7 s of imports
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        numeric = [name for name in NUMERIC if name in users.current.columns]
        categorical = [name for name in CATEGORICAL if name in users.current.columns]
        definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)

        def dataset(frame: pd.DataFrame) -> Dataset:
            return Dataset.from_pandas(frame, data_definition=definition)

        rules = {name: column_rule(name, config) for name in [*numeric, *categorical]}
        preset = DataDriftPreset(
            columns=list(rules),
            per_column_method={name: rule.method for name, rule in rules.items()},
            per_column_threshold={name: rule.threshold for name, rule in rules.items()},
        )
        report = Report([preset], tags=[scenario], metadata={"scenario": scenario})
        snapshot = report.run(dataset(users.current), dataset(users.reference))  # the current data first
        snapshot.save_html(str(file))
    return _scores(snapshot.dict())


def _scores(snapshot: dict[str, Any]) -> dict[str, float]:
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in snapshot["metrics"]
        if "column" in metric["config"]
    }
