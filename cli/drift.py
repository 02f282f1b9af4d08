"""`redrec drift`: has what users do changed since a reference? One verdict per scenario."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import drift_calibrate, drift_online
from cli.command import Command, Outcome, add_command, batch_outcome
from cli.table import indented, table
from redrec.config import InputError

if TYPE_CHECKING:
    from redrec.drift.calibration import Calibration
    from redrec.drift.logs import Sources
    from redrec.drift.verdicts import Drift, ScenarioDrift

SUMMARY = "compare two event logs, one verdict per scenario: stable, drift, missing, volume or insufficient"
EXAMPLE = (
    "# after `redrec demo`\nredrec drift --reference demo/weeks/reference.parquet "
    "--current demo/weeks/current.parquet --items demo/input/items.parquet --out drift"
)
TASKS: dict[str, Command] = {"calibrate": drift_calibrate, "online": drift_online}
MOST = 8  # columns of a scenario that the text shows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(
        dest="task", metavar="TASK", help="of the past, or of what is shown; without one, compare"
    )
    for name, task in TASKS.items():
        add_command(tasks, name, task)
    parser.add_argument("--reference", help="event log of before, a file, folder or URL as for `redrec run`")
    parser.add_argument("--current", help="event log of now, whole weeks later; every column of both is compared")
    parser.add_argument("--items", help="item table, for the items' categories")
    parser.add_argument("--vectors", help="table of item_id and a list of numbers, to compare what is shown and liked")
    parser.add_argument(
        "--calibration",
        type=Path,
        help="what `redrec drift calibrate` wrote: how large a change must be (default: fixed floors)",
    )
    parser.add_argument(
        "--batch",
        type=Path,
        metavar="DIR",
        help="compare many: a folder of each with reference.*, current.*, items.* and, if given, vectors.* and "
        "calibration.*; one JSON line each",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write drift.json there")


def run(arguments: argparse.Namespace) -> Outcome:
    return TASKS[arguments.task].run(arguments) if arguments.task else _compared(arguments)


def _compared(arguments: argparse.Namespace) -> Outcome:
    needed = ("reference", "current", "items")
    absent = [f"--{name}" for name in needed if getattr(arguments, name) is None]
    if arguments.batch and (len(absent) < len(needed) or arguments.vectors or arguments.calibration):
        raise InputError("--batch has the tables in its folders. Leave out the options of one comparison.")
    if arguments.batch:
        return _batch(arguments)
    if absent:
        raise InputError(f"{', '.join(absent)} is missing. Give --reference, --current and --items, or --batch.")
    from redrec.config import load_config
    from redrec.drift.calibration import NOT_CALIBRATED, Calibration
    from redrec.drift.logs import Sources

    sources = Sources(arguments.reference, arguments.current, arguments.items, arguments.vectors)
    floors = load_config(Calibration, arguments.calibration) if arguments.calibration else NOT_CALIBRATED
    drift = _drift(sources, floors, arguments.out)
    where = f"\n\nThe verdicts are in {arguments.out}." if arguments.out else ""
    return Outcome(drift.model_dump(mode="json"), drift_text(drift) + where)


def _drift(sources: "Sources", calibration: "Calibration", out: Path | None) -> "Drift":
    from redrec.drift.config import DriftConfig
    from redrec.drift.drift import opened
    from redrec.folders import DriftFolder, write_json

    with opened(sources) as windows:
        drift = windows.drift(DriftConfig(), calibration)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_json(DriftFolder(out).verdicts, drift.model_dump(mode="json"))
    return drift


def drift_text(drift: "Drift") -> str:
    """Return the verdicts, and of each scenario that drifted its columns."""
    rows = [["scenario", "verdict", "action", "reason"]]
    details = []
    for name, scenario in drift.scenarios.items():
        rows.append([name, scenario.verdict, scenario.action, scenario.reason])
        if scenario.verdict == "drift":
            details.append(f"{name}:\n{indented(_columns_text(scenario))}")
    if any(drift.left_out.values()):
        counts = " and ".join(f"{num:,} of the {window}" for window, num in drift.left_out.items())
        details.append(f"Left out: rows without a user, a scenario or a time, {counts}.")
    return "\n\n".join([f"Drift:\n{indented(table(rows))}", *details])


def _columns_text(scenario: "ScenarioDrift") -> str:
    columns = scenario.all_columns
    rows = [["column", "verdict", "p adjusted", "effect", "floor", "what"]]
    by_p = sorted((column.p_adjusted or 0.0, name) for name, column in columns.items())
    for _, name in by_p[:MOST]:
        column = columns[name]
        figures = [_figure(value) for value in (column.p_adjusted, column.effect, column.floor)]
        rows.append([name, column.verdict, *figures, column.what])
    return table(rows)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _batch(arguments: argparse.Namespace) -> Outcome:
    from redrec.batch import folders_in
    from redrec.drift.batch import CONTENTS, read_folder

    def compared(name: str, folder: Path) -> tuple[dict[str, Any], str]:
        drift = _drift(*read_folder(folder), arguments.out and arguments.out / name)
        return drift.model_dump(mode="json"), f"{name}: {drift_text(drift)}"

    return batch_outcome("drift", folders_in(arguments.batch, CONTENTS), compared)
