"""`redrec validate`: check an event log and an item table, and report their quality."""

import argparse
import tempfile
from pathlib import Path

from cli.command import EXAMPLE_TABLES, Outcome, add_recipe, add_tables, check_file, program, recipe_json
from redrec.config import InputError
from redrec.folders import DataFolder, check_replaceable

SUMMARY = "check an event log and an item table, and report their quality"
EXAMPLE = f"# after `redrec demo`\nredrec validate {EXAMPLE_TABLES}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tables(parser)
    parser.add_argument("--out", type=Path, help="write the checked tables to this folder (default: do not keep them)")
    parser.add_argument("--html", type=Path, help="also write the report as one HTML file (default: print it only)")
    add_recipe(parser)


def run(arguments: argparse.Namespace) -> Outcome:
    from cli.quality import quality_page, quality_text
    from redrec.config import section
    from redrec.data.prepare import DataConfig, prepare

    check_file("--html", arguments.html)
    if arguments.out:
        check_replaceable(arguments.out, DataFolder(arguments.out).names, "validation")
        for table in (arguments.events, arguments.items):
            if table.resolve().is_relative_to(arguments.out.resolve()):
                raise InputError(f"--out {arguments.out} holds {table}, and is replaced. Give a new folder.")
    recipe = recipe_json(arguments.recipe, arguments.settings)
    config = section(recipe, "data", DataConfig)
    with tempfile.TemporaryDirectory() as scratch:
        quality = prepare(arguments.events, arguments.items, arguments.out or Path(scratch) / "data", config)
    kept = f"The checked tables are in {arguments.out}.\n\n" if arguments.out else ""
    if arguments.html:
        quality_page(quality, arguments.html)
        kept += f"The report is in {arguments.html}.\n\n"
    next_command = f"{program()} run --events {arguments.events} --items {arguments.items} --out runs/first"
    return Outcome(quality.model_dump(), f"{quality_text(quality)}\n\n{kept}Next: {next_command}")
