"""`redrec forget`: remove a user's data from a run and its online store."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import Outcome, program
from cli.table import indented, table
from pipelines.progress import RunError
from redrec.config import InputError
from redrec.folders import RunFolder

if TYPE_CHECKING:
    from redrec.data.person import Forgotten, Person

SUMMARY = "remove a user's data from a run and its online store"
EXAMPLE = "# after `redrec demo`\nredrec forget --run demo/run --user u00000020"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="run folder, as `redrec run` writes it")
    parser.add_argument("--user", required=True, help="id of the user")
    parser.add_argument("--scenario", help="remove only events of this scenario (default: everything)")
    parser.add_argument(
        "--log",
        type=Path,
        action="append",
        default=[],
        help="also remove the user from this data folder, or from this Parquet file with a column user_id, such as an "
        "experiment's log; may be repeated (default: none)",
    )


def run(arguments: argparse.Namespace) -> Outcome:
    features = RunFolder(arguments.run).features
    if not features.is_dir():
        raise InputError(f"{arguments.run} has no {features.name}. Give the folder that `redrec run --out` wrote.")
    from redrec.data.forget import check_logs, forget_in_run
    from redrec.data.person import Person

    person = Person(arguments.user, arguments.scenario)
    check_logs(arguments.log, person)
    from feature_repo.forget import forget_features  # it imports Feast: after the checks

    removed = forget_features(features, person)
    removed |= forget_in_run(arguments.run, arguments.log, person)
    still = [name for name, counts in removed.items() if counts.left]
    if still:
        raise RunError(f"{', '.join(still)} still hold something of user {person.user_id}. Run it again.")
    counts = {name: of_name._asdict() for name, of_name in removed.items()}
    return Outcome({**person._asdict(), "counts": counts}, forgotten_text(person, removed))


def forgotten_text(person: "Person", removed: Mapping[str, "Forgotten"]) -> str:
    """Return the removed and remaining rows of each file or store, and what the command does not change."""
    rows = [["where", "removed", "left"]]
    for name, counts in removed.items():
        rows.append([name, str(counts.removed), str(counts.left)])
    who = f"User {person.user_id}{f' in {person.scenario}' if person.scenario else ''}"
    is_known = any(counts.removed for counts in removed.values())
    headline = f"{who}, counted again after the removal" if is_known else f"{who} was found nowhere"
    return (
        f"{headline}:\n{indented(table(rows))}\n\n"
        "Your own event table, other run folders, reports kept elsewhere, backups and what the model learned are not "
        "changed.\nNext: remove the user from the event table and train again:\n"
        f"  {program()} run --events EVENTS --items ITEMS --out RUN"
    )
