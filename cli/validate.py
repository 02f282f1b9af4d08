"""`redrec validate`: check an event log and an item table, and report their quality."""

import argparse
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import EXAMPLE_TABLES, Outcome, add_recipe, add_tables, check_file, program, recipe_json, settings_of
from redrec.config import InputError, changed, section
from redrec.folders import DataFolder, check_replaceable

if TYPE_CHECKING:
    from redrec.data.prepare import DataConfig
    from redrec.data.quality import DataQuality

SUMMARY = "check an event log and an item table, and report their quality"
EXAMPLE = f"# after `redrec demo`\nredrec validate {EXAMPLE_TABLES}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tables(parser, required=False)
    parser.add_argument("--out", type=Path, help="write the checked tables to this folder (default: do not keep them)")
    parser.add_argument(
        "--html",
        type=Path,
        help="also write the report as one HTML file, above all if the tables are refused (default: print it only)",
    )
    parser.add_argument("--schemas", action="store_true", help="list the schemas that are read as they are, and stop")
    add_recipe(parser)


def run(arguments: argparse.Namespace) -> Outcome:
    if arguments.schemas:
        from cli.quality import schemas, schemas_text

        return Outcome(schemas(), schemas_text())
    missing = [name for name in ("events", "items") if not getattr(arguments, name)]
    if missing:
        options = ", ".join(f"--{name}" for name in missing)
        raise InputError(f"these options are required: {options}. Without tables, --schemas lists the known schemas.")
    check_file("--html", arguments.html)
    if arguments.out:
        check_replaceable(arguments.out, DataFolder(arguments.out).names, "validation")
        for table in (arguments.events, arguments.items):
            if "://" not in table and Path(table).resolve().is_relative_to(arguments.out.resolve()):
                raise InputError(f"--out {arguments.out} holds {table}, and is replaced. Give a new folder.")
    return _validated(arguments)


def _validated(arguments: argparse.Namespace) -> Outcome:
    from cli.quality import quality_text

    quality = _checked(arguments, data_config(arguments))
    kept = f"The checked tables are in {arguments.out}.\n\n" if arguments.out else ""
    kept += f"The report is in {arguments.html}.\n\n" if arguments.html else ""
    return Outcome(quality.model_dump(), f"{quality_text(quality)}\n\n{kept}Next: {next_command(arguments)}")


def data_config(arguments: argparse.Namespace) -> "DataConfig":
    """Return how the tables are read; a whole recipe is loaded, which imports torch, only where one is given."""
    from redrec.data.prepare import DataConfig

    settings = settings_of(arguments)
    if arguments.recipe or arguments.settings:
        return section(recipe_json(arguments.recipe, settings), "data", DataConfig)
    return changed(DataConfig(), [setting.removeprefix("data.") for setting in settings], "--map")


def _checked(arguments: argparse.Namespace, config: "DataConfig") -> "DataQuality":
    """Return the report, and write it as a page also if the tables are refused."""
    from cli.quality import quality_page
    from redrec.data.prepare import prepare
    from redrec.data.profile import profile

    with tempfile.TemporaryDirectory() as scratch:
        try:
            quality = prepare(arguments.events, arguments.items, arguments.out or Path(scratch) / "data", config)
        except InputError as error:
            if arguments.html:
                quality_page(arguments.html, profile(arguments.events, arguments.items, config), None, error)
                raise InputError(f"{error} The report is in {arguments.html}.") from error
            raise
        if arguments.html:
            quality_page(arguments.html, profile(arguments.events, arguments.items, config), quality, None)
        return quality


def next_command(arguments: argparse.Namespace) -> str:
    """Return the command that trains on the same tables, read in the same way."""
    options = [("--events", arguments.events), ("--items", arguments.items)]
    options += [("--map", columns) for columns in arguments.columns]
    options += [("--recipe", arguments.recipe)] if arguments.recipe else []
    options += [("--set", setting) for setting in arguments.settings]
    given = " ".join(f"{option} {shlex.quote(str(value))}" for option, value in options)
    return f"{program()} run {given} --out runs/first"
