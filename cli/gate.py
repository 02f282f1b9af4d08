"""`redrec gate`: decide an A/B experiment from its log and its plan, one decision per scenario."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import Outcome
from cli.table import indented, table
from redrec.config import InputError

if TYPE_CHECKING:
    from redrec.experiments.decisions import Decision

SUMMARY = "decide an A/B experiment from its exposures, outcomes and plan, one decision per scenario"
EXAMPLE = (
    "# after `redrec demo`\nredrec gate --exposures demo/experiment/exposures.parquet "
    "--outcomes demo/experiment/outcomes.parquet --plan demo/experiment/plan.json"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--exposures",
        type=Path,
        required=True,
        help="Parquet file: exposure_id, experiment, user_id, scenario, arm, timestamp",
    )
    parser.add_argument(
        "--outcomes",
        type=Path,
        required=True,
        help="Parquet file: event_id, user_id, scenario, event, value, timestamp",
    )
    parser.add_argument(
        "--plan", type=Path, required=True, help="YAML or JSON file with fields of redrec.experiments.plan.Plan"
    )
    parser.add_argument(
        "--through",
        metavar="TIME",
        help="until when both tables are complete, as 2026-11-16T00:00:00Z (default: the hour of their newest row)",
    )


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--through {text}: {error}. Give a time like 2026-11-16T00:00:00Z.") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def run(arguments: argparse.Namespace) -> Outcome:
    from redrec.config import load_config
    from redrec.experiments.gate import decide
    from redrec.experiments.plan import Plan

    plan = load_config(Plan, arguments.plan)
    through = None if arguments.through is None else _time(arguments.through)
    result = decide(arguments.exposures, arguments.outcomes, plan, through)
    return Outcome(result.model_dump(mode="json", by_alias=True), decisions_text(result.experiment, result.scenarios))


def decisions_text(experiment: str, decisions: Mapping[str, "Decision"]) -> str:
    rows = [["scenario", "verdict", "reason"]]
    for scenario, decision in decisions.items():
        rows.append([scenario, decision.verdict, decision.reason])
    return f"Decisions of experiment {experiment}:\n{indented(table(rows))}"
