"""`redrec worth`: what each scenario's events are worth to the others, of a finished run."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.command import HEADLINE, Outcome, check_file, write_page
from redrec.config import InputError, read_mapping
from redrec.folders import RunFolder

SUMMARY = "show what each scenario's events are worth to every scenario, of a finished run"
EXAMPLE = "# after `redrec demo`\nredrec worth --run demo/run --html worth.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="folder of `redrec run`")
    parser.add_argument("--html", type=Path, help="also write a picture as one HTML file (default: print the table)")


def run(arguments: argparse.Namespace) -> Outcome:
    check_file("--html", arguments.html)
    metrics = read_metrics(arguments.run)
    from cli.run_result import value_text  # it imports pymilvus: after the check of the folder

    text = value_text(metrics)
    if arguments.html:
        worth_page(metrics, arguments.html)
        text += f"\n\nThe picture is in {arguments.html}."
    return Outcome(metrics["scenario_value"], text)


def read_metrics(run_folder: Path) -> dict[str, Any]:
    path = RunFolder(run_folder).metrics
    if not path.exists():
        raise InputError(f"{run_folder} has no {path.name}. Give the folder of a finished `redrec run` as --run.")
    metrics = read_mapping(path)
    if "scenario_value" not in metrics:
        raise InputError(f"{path} has no scenario_value. Run `redrec run` again with this version.")
    return metrics


def worth_page(metrics: Mapping[str, Any], out: Path) -> None:
    """Write the values as one HTML file; the strongest colour is the greatest value."""
    values, sizes = {}, [0.0]
    for queried, of_queried in metrics["scenario_value"].items():
        values[queried] = {removed: estimates[HEADLINE] for removed, estimates in of_queried.items()}
        sizes += [abs(value["value"] or 0) for value in values[queried].values()]
    write_page(out, "worth.html", values=values, greatest=max(sizes) or 1, metric=HEADLINE)
