"""`redrec monitor`: look for drift in the newest window, act on it, and train where it lasts, on this machine."""

import argparse
from pathlib import Path

from cli.command import EXAMPLE_TABLES, Outcome, add_recipe, add_tables, recipe_json, say, settings_of

SUMMARY = "look for drift in the newest window, keep and send the verdicts, and train where it lasts"
EXAMPLE = f"# after `redrec demo`\nredrec monitor {EXAMPLE_TABLES} --history history.jsonl --out drift"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tables(parser)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the report; an earlier report in it is replaced"
    )
    parser.add_argument(
        "--history",
        default="",
        help="file with the verdicts of past windows, which gets this one: a path or s3://bucket/key (default: none)",
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="run folder of a training, which starts if a scenario drifted in two of its three newest windows "
        "(default: no training)",
    )
    parser.add_argument("--webhook", default="", help="URL that takes alerts as Alertmanager does (default: none)")
    parser.add_argument("--pushgateway", default="", help="URL of Prometheus' Pushgateway, for metrics (default: none)")
    parser.add_argument(
        "--workspace",
        default="",
        help="Evidently workspace for the reports: a folder or a URL (default: none)",
    )
    parser.add_argument("--service", default="redrec", help="service that alerts and metrics name (default: redrec)")
    parser.add_argument("--live", default="", help="release in service, to compare a new one with (default: none)")
    parser.add_argument(
        "--releases", default="", metavar="URL", help="store that gets a new release if it is good (default: none)"
    )
    add_recipe(parser)


def run(arguments: argparse.Namespace) -> Outcome:
    from cli.run_result import drift_text
    from pipelines.local import Monitored, run_monitor
    from redrec.config import load_config
    from redrec.drift.verdicts import Drift
    from redrec.folders import DriftFolder, MonitorFolder

    recipe = recipe_json(arguments.recipe, settings_of(arguments))
    given = {name: getattr(arguments, name) for name in Monitored._fields}
    has_trained = run_monitor(Monitored(**{**given, "recipe": recipe}), arguments.out, arguments.run, say)
    files = DriftFolder(MonitorFolder(arguments.out).drift)
    drift = load_config(Drift, files.verdicts)
    trained = f"\n\nIt has trained: {arguments.run}" if has_trained else ""
    result = {**drift.model_dump(mode="json"), "out": str(arguments.out), "has_trained": has_trained}
    return Outcome(result, f"{drift_text(drift)}\n\nPast windows are drawn in {files.timeline}.{trained}")
