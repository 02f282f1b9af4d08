"""`redrec forget`: remove a user from a run and its online store."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import Outcome, program
from cli.table import indented, table
from pipelines.local import RunError
from redrec.folders import RunFolder

if TYPE_CHECKING:
    from redrec.data.forget import Forgotten, Person

SUMMARY = "remove a user from a run and its online store"
EXAMPLE = "--run demo/run --user 20"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="run folder")
    parser.add_argument("--user", required=True, help="user id")
    parser.add_argument("--scenario", help="only what was done there (default: everything)")
    parser.add_argument(
        "--log",
        type=Path,
        action="append",
        default=[],
        help="a Parquet file with user_id, such as an experiment's log, or a data folder; may be repeated",
    )


def run(arguments: argparse.Namespace) -> Outcome:
    from feature_repo.forget import forget_features
    from redrec.data.forget import Person, check_logs, forget_in_run

    person = Person(arguments.user, arguments.scenario)
    check_logs(arguments.log, person)
    removed = forget_features(RunFolder(arguments.run).features, person)
    removed |= forget_in_run(arguments.run, arguments.log, person)
    still = [where for where, counts in removed.items() if counts.left]
    if still:
        raise RunError(f"{', '.join(still)} still hold something of user {person.user_id}. Run it again.")
    places = {where: counts._asdict() for where, counts in removed.items()}
    return Outcome({**person._asdict(), "places": places}, forgotten_text(person, removed))


def forgotten_text(person: "Person", removed: Mapping[str, "Forgotten"]) -> str:
    """What each file or store held of the person and holds now, and what the command does not change."""
    rows = [["where", "removed", "left"]]
    for where, counts in removed.items():
        rows.append([where, str(counts.removed), str(counts.left)])
    who = f"User {person.user_id}{f' in {person.scenario}' if person.scenario else ''}"
    is_known = any(counts.removed for counts in removed.values())
    headline = f"{who}, counted again after the removal" if is_known else f"{who} was found nowhere"
    return (
        f"{headline}:\n{indented(table(rows))}\n\n"
        "Your own event table, other run folders, reports kept elsewhere, backups and what the model learned are not "
        "changed.\nNext: remove the user from the event table and train again:\n"
        f"  {program()} run --events EVENTS --items ITEMS --out RUN"
    )
