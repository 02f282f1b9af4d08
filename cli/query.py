"""`redrec query`: ask a running server for items."""

import argparse
from collections.abc import Mapping
from typing import Any

from cli.command import Outcome
from cli.table import table

SUMMARY = "ask a running server for items"
EXAMPLE = "--user 1 --scenario organic"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="user id")
    parser.add_argument("--scenario", required=True, help="scenario of the bundle")
    parser.add_argument("--k", type=int, default=10, help="number of items (default: 10)")
    parser.add_argument("--url", default="http://localhost:8080", help="server (default: http://localhost:8080)")


def run(arguments: argparse.Namespace) -> Outcome:
    from serving.client import query

    answer = query(arguments.url, arguments.user, arguments.scenario, arguments.k)
    return Outcome(answer, answer_text(answer))


def answer_text(answer: Mapping[str, Any]) -> str:
    """The items of one answer, best first, and where they came from."""
    rows = [["rank", "item", "score", "interest", "title"]]
    for rank, item in enumerate(answer["items"], start=1):
        score = "-" if item["score"] is None else f"{item['score']:.4f}"
        interest = "-" if item["interest"] is None else str(item["interest"])
        rows.append([str(rank), item["item_id"], score, interest, item["title"]])
    why = f" ({answer['reason']})" if answer["reason"] else ""
    return f"{table(rows)}\n\nsource: {answer['source']}{why}, bundle {answer['bundle_id']}"
