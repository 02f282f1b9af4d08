"""`redrec gate interleave`: which of two rankers users prefer, from clicks on lists that hold the items of both."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import Outcome
from cli.table import indented, table

if TYPE_CHECKING:
    from redrec.experiments.interleaving import Preferences

SUMMARY = "show which of two rankers users prefer, from clicks on lists that hold the items of both"
EXAMPLE = (
    "# after `redrec serve --exposures exposures` with `interleaves` in its allocation\n"
    "redrec gate interleave --shown exposures/interleaved --clicks clicks.parquet"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shown",
        type=Path,
        required=True,
        help="Parquet, CSV or JSON lines, file or folder: request_id, experiment, user_id, scenario, item_id, team "
        "(control, treatment, or nothing)",
    )
    parser.add_argument("--clicks", type=Path, required=True, help="likewise: request_id, item_id")
    parser.add_argument("--experiment", help="name of the experiment (default: the only one of the shown lists)")


def run(arguments: argparse.Namespace) -> Outcome:
    from redrec.data.tables import connect
    from redrec.experiments.interleaving import prefer

    result = prefer(connect(), arguments.shown, arguments.clicks, arguments.experiment)
    return Outcome(result.model_dump(mode="json", by_alias=True), _text(result))


def _text(result: "Preferences") -> str:
    rows = [["scenario", "verdict", "users", "invalid requests", "reason"]]
    for scenario, one in result.scenarios.items():
        rows.append([scenario, one.verdict, f"{one.users:,}", f"{one.invalid_requests:,}", one.reason])
    title = f"Preferences of users who saw interleaved lists of experiment {result.experiment}"
    return f"{title} (only an experiment promotes):\n{indented(table(rows))}"
