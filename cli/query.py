"""`redrec query`: get items for a user from a running server."""

import argparse
from collections.abc import Mapping
from typing import Any

from cli.command import Outcome
from cli.history import read_history
from cli.table import table
from redrec.config import InputError

SUMMARY = "get items for a user from a running server"
EXAMPLE = """# after `redrec demo`, while `redrec serve --run demo/run` runs in another terminal
redrec query --user u00000000 --scenario search"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="id of the user")
    parser.add_argument("--scenario", required=True, help="queried scenario, one of the bundle's")
    parser.add_argument("--k", type=int, default=10, help="maximum number of items (default: 10)")
    parser.add_argument(
        "--history",
        metavar="FILE|JSON",
        help="the user's events, instead of those that the server has: a JSON or CSV file, or a JSON list, of item_id, "
        "action, scenario, and timestamp or timestamp_ms",
    )
    parser.add_argument(
        "--exclude-seen",
        action=argparse.BooleanOptionalAction,
        help="leave out the items of the history, or keep them (default: as the scenario does)",
    )
    parser.add_argument("--category", help="only items of this category (default: of all)")
    parser.add_argument(
        "--url", default="http://localhost:8080", help="address of the server (default: http://localhost:8080)"
    )


def run(arguments: argparse.Namespace) -> Outcome:
    from serving.client import query

    if arguments.k < 1:
        raise InputError(f"--k {arguments.k} is not allowed. Give 1 or more.")
    answer = query(
        arguments.url,
        arguments.user,
        arguments.scenario,
        arguments.k,
        history=None if arguments.history is None else read_history(arguments.history),
        exclude_seen=arguments.exclude_seen,
        category=arguments.category,
    )
    return Outcome(answer, answer_text(answer))


def answer_text(answer: Mapping[str, Any]) -> str:
    """Return the items of one answer, best first, with its source."""
    rows = [["rank", "item", "score", "interest", "title"]]
    for rank, item in enumerate(answer["items"], start=1):
        score = "-" if item["score"] is None else f"{item['score']:.4f}"
        interest = "-" if item["interest"] is None else str(item["interest"])
        rows.append([str(rank), item["item_id"], score, interest, item["title"] or "-"])
    why = f" ({answer['reason']})" if answer["reason"] else ""
    return f"{table(rows)}\n\nsource: {answer['source']}{why}, bundle {answer['bundle_id']}"
