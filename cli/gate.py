"""`redrec gate`: decide an experiment, scenario by scenario, from its log and its plan."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import Outcome
from cli.table import indented, table

if TYPE_CHECKING:
    from redrec.experiments.gate import Decision

SUMMARY = "decide an experiment, scenario by scenario, from its log"
EXAMPLE = "--log experiment.parquet --plan plan.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log",
        type=Path,
        required=True,
        help="Parquet: experiment, user_id, scenario, arm, day, and the columns that the plan's metrics name",
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
