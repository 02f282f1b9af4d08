"""Snapshots: a scenario's verdict with Evidently's plots, as an Evidently snapshot that its pages and service show.

The verdict is `redrec.drift`'s. Of Evidently's metrics only the distance of a column and the plot of its values are
kept; its own words ("drift detected") follow from thresholds that ignore how many users there are. What the verdict
says is stored as Evidently's own metrics, so that its service needs none of our code.
"""

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

from monitoring.frames import ScenarioFrames, scenario_frames
from monitoring.texts import label, plain
from redrec.drift.logs import Logs
from redrec.drift.verdicts import DRIFTED, INTERESTS, ColumnDrift, Drift, ScenarioDrift, Window

if TYPE_CHECKING:
    from evidently.core.report import Snapshot
    from evidently.core.serialization import SnapshotModel

NUMERIC_DISTANCE, CATEGORICAL_DISTANCE = "wasserstein", "jensenshannon"
DISTANCE, NUMBER = (
    "ValueDrift",
    "MeanValue",
)  # Evidently's metrics of a column that hold a distance, and a number of ours
FIGURES = ("p_adjusted", "effect", "floor")
CHANGED = "changed columns"
WINDOWS: tuple[Window, ...] = get_args(Window)
HEADER = ("column", "verdict", "in words", "test", "p adjusted", "effect", "floor")


def scenario_snapshots(logs: Logs, drift: Drift, timestamp: datetime, bundle: str = "") -> "dict[str, Snapshot]":
    """Return a snapshot for each scenario of `drift`, with plots if it has users in both windows.

    `timestamp` tells the windows apart in a workspace, so give the end of the current one; `bundle` is the id of the
    bundle that served then.
    """
    snapshots = {}
    with evidently():
        for name, scenario in drift.scenarios.items():
            frames = scenario_frames(logs, name)
            metadata = _metadata(name, scenario, drift, bundle)
            snapshots[name] = _snapshot(name, scenario, frames, metadata, timestamp)
    return snapshots


@contextmanager
def evidently() -> Iterator[None]:
    """Run what imports or calls Evidently: it reports nothing, and the warnings of its dependencies are not shown."""
    os.environ["DO_NOT_TRACK"] = "1"  # read at its import
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def columns_of(scenario: ScenarioDrift) -> dict[str, ColumnDrift]:
    """Return the columns by their labels, those that have changed first, and the interests last."""
    columns = {label(name): column for name, column in scenario.columns.items()}
    changed_first = dict(sorted(columns.items(), key=lambda item: item[1].verdict not in DRIFTED))
    return changed_first if scenario.interests is None else {**changed_first, INTERESTS: scenario.interests}


def numbers_of(scenario: ScenarioDrift) -> dict[str, float]:
    """Return what the verdict counts and measures, by name."""
    columns = columns_of(scenario)
    numbers: dict[str, float] = {CHANGED: sum(column.verdict in DRIFTED for column in columns.values())}
    for window in WINDOWS:
        numbers[count_name("users", window)] = scenario.users[window]
        numbers[count_name("events", window)] = scenario.events[window]
    for name, column in columns.items():
        for figure in FIGURES:
            value = getattr(column, figure)
            if value is not None:
                numbers[number_name(figure, name)] = value
    return numbers


def count_name(what: str, window: Window) -> str:
    return f"{what}, {window}"


def number_name(figure: str, column: str) -> str:
    return f"{figure.replace('_', ' ')}: {column}"


def metric_columns(snapshot: "Snapshot", metric: str) -> list[str]:
    """Return what a metric is given for: the columns of DISTANCE, the names of each NUMBER."""
    configs = [result.metric_value_location.metric.params for result in snapshot.metric_results.values()]
    return [config["column"] for config in configs if config["type"].endswith(f":{metric}")]


def _metadata(name: str, scenario: ScenarioDrift, drift: Drift, bundle: str) -> dict[str, str]:
    texts: dict[str, str] = {
        "scenario": name,
        "verdict": scenario.verdict,
        "action": scenario.action,
        "reason": scenario.reason,
    }
    for window, times in (drift.windows or {}).items():
        texts[window] = " to ".join(times)
    if bundle:
        texts["bundle"] = bundle
    return {key: plain(text) for key, text in texts.items()}


def _snapshot(
    name: str, scenario: ScenarioDrift, frames: ScenarioFrames, metadata: Mapping[str, str], timestamp: datetime
) -> "Snapshot":
    from evidently.core.report import Snapshot
    from evidently.core.serialization import ReportModel, SnapshotModel
    from evidently.metrics import MeanValue

    results, plots = _plots(frames) if frames.has_users else ({}, {})
    for number, value in numbers_of(scenario).items():
        calculation = MeanValue(column=number).to_calculation()
        results[calculation.id] = calculation.result(value)
    shown = [column for column in columns_of(scenario) if column in plots]
    shown += [column for column in plots if column not in shown]
    model = SnapshotModel(
        report=ReportModel(items=[]),
        name=f"{label(name)}: {scenario.verdict}",
        timestamp=timestamp.astimezone(UTC).replace(tzinfo=None),  # Evidently's own have no zone
        metadata=dict(metadata),
        tags=[label(name), scenario.verdict],
        metric_results=results,
        top_level_metrics=list(results),
        widgets=[*_verdict(metadata, scenario), *(plots[column] for column in shown)],
        tests_widgets=[],
    )
    return Snapshot.load_model(model)


def _plots(frames: ScenarioFrames) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return Evidently's distances by their ids, and the plots by column; without the columns that it cannot plot."""
    results, plots = {}, {}
    methods = dict.fromkeys(frames.numeric, NUMERIC_DISTANCE) | dict.fromkeys(frames.categorical, CATEGORICAL_DISTANCE)
    for column, method in methods.items():
        try:
            ((key, result),) = _report(frames, column, method).metric_results.items()
        except ValueError:  # such as values too large for a histogram; the verdict names them
            continue
        if math.isfinite(result.value):
            results[key] = result
            plots[column] = _plot(column, result.widget, column in frames.categorical)
            result.widget = []  # its words are Evidently's verdict
    return results, plots


def _report(frames: ScenarioFrames, column: str, method: str) -> "SnapshotModel":
    """Return Evidently's report on one column: in one on all of them, an error of a column would lose the others."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    kind = "categorical_columns" if column in frames.categorical else "numerical_columns"
    definition = DataDefinition(**{kind: [column]})
    reference, current = (
        Dataset.from_pandas(frame[[column]], data_definition=definition) for frame in (frames.reference, frames.current)
    )
    report = Report([ValueDrift(column=column, method=method)])
    return report.run(current, reference).to_snapshot_model()  # the current data first


def _plot(column: str, widgets: list[Any], is_categorical: bool) -> Any:
    """Return the plot of a column's values: the last tab; of a number an earlier one shows the users in a row."""
    plot = widgets[-1].tabs[-1].widget
    plot.title = column
    if is_categorical:
        plot.params["layout"].setdefault("xaxis", {})["type"] = "category"  # else years become dates
    return plot


def _verdict(metadata: Mapping[str, str], scenario: ScenarioDrift) -> list[Any]:
    from evidently.legacy.renderers.html_widgets import CounterData, counter, table_data

    title = f"{metadata['scenario']}: {scenario.verdict}"
    heading = counter(counters=[CounterData(label=metadata["reason"], value=title)])
    rows = [row_of(name, column) for name, column in columns_of(scenario).items()]
    table = table_data(column_names=list(HEADER), data=rows, title="The verdict on each column")
    return [heading, table] if rows else [heading]


def row_of(name: str, column: ColumnDrift) -> tuple[str, ...]:
    """Return a column's verdict in the order of HEADER."""
    figures = (_figure(column.p_adjusted), _figure(column.effect), _figure(column.floor))
    return (name, column.verdict, plain(column.what), column.test, *figures)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
