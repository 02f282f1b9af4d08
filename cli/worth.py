"""`redrec worth`: what each scenario's events are worth to the others, of a finished run."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.command import HEADLINE, Outcome, write_page
from redrec.config import InputError
from redrec.folders import RunFolder, read_json

SUMMARY = "show what each scenario's events are worth to every scenario, of a finished run"
EXAMPLE = "# after `redrec demo`\nredrec worth --run demo/run --html worth.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="folder of `redrec run`")
    parser.add_argument("--html", type=Path, help="also write a picture as one HTML file (default: print the table)")


def run(arguments: argparse.Namespace) -> Outcome:
    path = RunFolder(arguments.run).metrics
    if not path.exists():
        raise InputError(f"{arguments.run} has no {path.name}. Give the folder of a finished `redrec run` as --run.")
    from cli.run_result import value_text  # it imports pymilvus: after the check of the folder

    metrics = read_json(path)
    text = value_text(metrics)
    if arguments.html:
        worth_page(metrics, arguments.html)
        text += f"\n\nThe picture is in {arguments.html}."
    return Outcome(metrics["scenario_value"], text)


def worth_page(metrics: Mapping[str, Any], out: Path) -> None:
    """Write the values as one HTML file; the strongest colour is the greatest value."""
    values, sizes = {}, [0.0]
    for queried, of_queried in metrics["scenario_value"].items():
        values[queried] = {removed: estimates[HEADLINE] for removed, estimates in of_queried.items()}
        sizes += [abs(value["value"] or 0) for value in values[queried].values()]
    write_page(out, "worth.html", values=values, greatest=max(sizes) or 1, metric=HEADLINE)
