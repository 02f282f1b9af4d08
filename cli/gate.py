"""`redrec gate`: decide an A/B experiment from its log and its plan, one decision per scenario."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import Outcome
from cli.table import indented, table

if TYPE_CHECKING:
    from redrec.experiments.gate import Decision

SUMMARY = "decide an A/B experiment from its log and its plan, one decision per scenario"
EXAMPLE = "# after `redrec demo`\nredrec gate --log demo/experiment/log.parquet --plan demo/experiment/plan.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log",
        type=Path,
        required=True,
        help="Parquet file with the columns experiment, user_id, scenario, arm, day and the plan's metrics",
    )
    parser.add_argument(
        "--plan", type=Path, required=True, help="YAML or JSON file with fields of redrec.experiments.gate.Plan"
    )


def run(arguments: argparse.Namespace) -> Outcome:
    from redrec.config import load_config
    from redrec.experiments.gate import Plan, fixed_horizon_gate, read_log

    plan = load_config(Plan, arguments.plan)
    decisions = fixed_horizon_gate(read_log(arguments.log), plan)
    result = {scenario: decision.model_dump() for scenario, decision in decisions.items()}
    return Outcome({"experiment": plan.experiment, "decisions": result}, decisions_text(plan.experiment, decisions))


def decisions_text(experiment: str, decisions: Mapping[str, "Decision"]) -> str:
    rows = [["scenario", "verdict", "reason"]]
    for scenario, decision in decisions.items():
        rows.append([scenario, decision.verdict, decision.reason])
    return f"Decisions of experiment {experiment}:\n{indented(table(rows))}"
