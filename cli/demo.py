"""`redrec demo`: run everything once on example data."""

import argparse
from pathlib import Path

from cli.command import Outcome, add_recipe, load_recipe, say

SUMMARY = "run everything once on example data, in minutes"
EXAMPLE = "redrec demo --data complete-journey --out demo-groceries"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        choices=("world", "complete-journey"),
        default="world",
        help="world: a generated world with known truth; complete-journey: grocery purchases in four scenarios "
        "(default: world)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), help="folder to write input, run and experiment to (default: demo)"
    )
    parser.add_argument(
        "--config",
        type=Path,
        help="YAML or JSON file with fields of cli.demo_run.DemoConfig: the world and the experiment "
        "(default: its defaults)",
    )
    add_recipe(parser)


def run(arguments: argparse.Namespace) -> Outcome:
    from cli.demo_run import DemoConfig, DemoFolder, demo
    from redrec.config import load_config
    from redrec.folders import check_replaceable

    folder = DemoFolder(arguments.out)
    check_replaceable(arguments.out, folder.names if folder.run.is_dir() else set(), "demo")
    config = load_config(DemoConfig, arguments.config) if arguments.config else DemoConfig()
    recipe = load_recipe(arguments.recipe or "redrec", arguments.settings)
    result = demo(arguments.data, arguments.out, recipe, config, say)
    return Outcome(result.as_json(), result.text())
