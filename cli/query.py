"""`redrec query`: get items for a user from a running server."""

import argparse
from collections.abc import Mapping, Sequence
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
        "--explain",
        action="store_true",
        default=None,
        help="say what adds to each score, and which past events are near the item",
    )
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
        explain=arguments.explain,
    )
    return Outcome(answer, answer_text(answer))


def answer_text(answer: Mapping[str, Any]) -> str:
    """Return the items of one answer, best first, with its source."""
    rows = [["rank", "item", "score", "interest", "title"]]
    for rank, item in enumerate(answer["items"], start=1):
        score = "-" if item["score"] is None else f"{item['score']:.4f}"
        interest = "-" if item["interest"] is None else str(item["interest"])
        rows.append([str(rank), item["item_id"], score, interest, item["title"] or "-"])
    rows = with_explanations(rows, answer["items"])
    why = f" ({answer['reason']})" if answer["reason"] else ""
    return f"{table(rows)}\n\nsource: {answer['source']}{why}, bundle {answer['bundle_id']}"


def with_explanations(rows: list[list[str]], items: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the rows with what explains their items, if the server said it."""
    if not any("explanation" in item for item in items):
        return rows
    header = ["cosine", "popular", "own", "moved", "nearest events"]
    pairs = zip(rows[1:], items, strict=True)
    return [rows[0] + header, *(row + explained(item["explanation"]) for row, item in pairs)]


def explained(explanation: Mapping[str, Any]) -> list[str]:
    """Return the cells of an item's explanation."""
    summands = [f"{explanation[name]:.4f}" for name in ("cosine", "recent_popularity", "own_items")]
    events = explanation["nearest_events"]
    near = [f"{event['item_id']} ({event['scenario']}, {event['cosine']:.2f})" for event in events]
    return [*summands, f"{explanation['moved_by_ranker']:+d}", ", ".join(near)]
