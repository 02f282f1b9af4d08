"""`redrec drift online`: is what is shown acted on as often as the bundle promised?"""

import argparse
from pathlib import Path

from cli.command import Outcome
from cli.table import indented, table
from redrec.config import InputError

SUMMARY = "compare how often shown lists are acted on with the offline figure of the run that made them"
EXAMPLE = (
    "# after `redrec demo`\nredrec drift online --exposures demo/experiment/exposures.parquet "
    "--outcomes demo/experiment/outcomes.parquet --run demo/run"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--exposures", type=Path, required=True, help="Parquet, CSV or JSON lines: a file, or the server's folder"
    )
    parser.add_argument("--outcomes", type=Path, required=True, help="likewise: user_id, scenario, event, timestamp")
    parser.add_argument("--run", type=Path, required=True, help="run folder of the bundle that served")
    parser.add_argument("--event", default="click", help="outcome that makes a shown list a hit (default: click)")


def run(arguments: argparse.Namespace) -> Outcome:
    from redrec.drift.config import DriftConfig
    from redrec.drift.online import online_quality
    from redrec.folders import RunFolder, read_json

    metrics = RunFolder(arguments.run).metrics
    if not metrics.is_file():
        raise InputError(f"--run {arguments.run} has no {metrics.name}. Give a run folder, as `redrec run` writes it.")
    figures = read_json(metrics)
    quality = online_quality(arguments.exposures, arguments.outcomes, arguments.event, figures, DriftConfig().min_users)
    rows = [["scenario", "users", "exposures", "verdict", "reason"]]
    for name, one in quality.items():
        rows.append([name, f"{one.online.users:,}", f"{one.exposures:,}", one.verdict, one.reason])
    content = {"scenarios": {name: one.model_dump(mode="json") for name, one in quality.items()}}
    return Outcome(content, f"Share of shown lists with a {arguments.event}:\n{indented(table(rows))}")
