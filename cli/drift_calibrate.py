"""`redrec drift calibrate`: how much ordinary weeks differ, as the floors of `redrec drift`."""

import argparse
from pathlib import Path

from cli.command import Outcome, check_file, say
from cli.table import indented, table
from redrec.config import InputError

SUMMARY = "measure how much the weeks of a past log differ, so that smaller changes raise no alarm"
EXAMPLE = (
    "# after `redrec demo`\nredrec drift calibrate --events demo/input/events.parquet "
    "--items demo/input/items.parquet --out calibration.json"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events", required=True, help="event log of nine past windows or more, without a known change"
    )
    parser.add_argument("--items", required=True, help="item table, as for `redrec drift`")
    parser.add_argument("--vectors", help="vectors of items, as for `redrec drift`")
    parser.add_argument("--days", type=int, default=7, help="length of the windows to be compared later (default: 7)")
    parser.add_argument("--out", type=Path, required=True, help="JSON file, for --calibration of `redrec drift`")


def run(arguments: argparse.Namespace) -> Outcome:
    check_file("--out", arguments.out)
    if arguments.days < 1:
        raise InputError(f"--days {arguments.days} is not allowed. Give a number of days, best whole weeks.")
    from redrec.drift.calibration import MIN_PAIRS
    from redrec.drift.config import DriftConfig
    from redrec.drift.drift import calibrate
    from redrec.drift.logs import Sources
    from redrec.folders import write_json

    sources = Sources(arguments.events, None, arguments.items, arguments.vectors)
    calibration = calibrate(sources, arguments.days, DriftConfig())
    write_json(arguments.out, calibration.model_dump())
    if calibration.num_pairs < MIN_PAIRS:
        say(f"warning: {calibration.num_pairs} pairs of windows, {MIN_PAIRS} are needed; the fixed floors hold.")
    rows = [["scenario", "column", "least change that counts"]]
    for scenario, columns in calibration.floors.items():
        for column, types in columns.items():
            rows.append([scenario, column, ", ".join(f"{kind} {floor:.3f}" for kind, floor in types.items() if floor)])
    text = f"Floors from {calibration.num_pairs} pairs of windows of {arguments.days} days, in {arguments.out}:"
    return Outcome(calibration.model_dump(), f"{text}\n{indented(table(rows))}")
