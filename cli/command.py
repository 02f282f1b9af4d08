"""Command: what a subcommand of `redrec` is, what it returns, and the options that several share."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from redrec.training.recipe import Recipe

EXAMPLE_TABLES = "--events demo/input/events.parquet --items demo/input/items.parquet"  # `redrec demo` writes them


class Outcome(NamedTuple):
    result: dict[str, Any]  # printed with --json
    text: str  # printed without: what was done, where the files are, the next command


class Command(Protocol):
    """What the module of a subcommand has."""

    SUMMARY: str
    EXAMPLE: str  # options that work as pasted

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> Outcome: ...


def say(line: str) -> None:
    """Tell a person what is going on; standard output is for the result."""
    print(line, file=sys.stderr, flush=True)


def program() -> str:
    """Return how this shell calls redrec: by name, or by its path where its environment is not active."""
    if shutil.which("redrec"):
        return "redrec"
    return os.path.relpath(Path(sys.executable).with_name("redrec"))


def add_tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events", type=Path, required=True, help="event log: Parquet or CSV (.gz), one row per interaction"
    )
    parser.add_argument("--items", type=Path, required=True, help="item table: Parquet or CSV (.gz), one row per item")


def add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--recipe",
        type=Path,
        help="a preset (redrec, hllm, sasrec), or a YAML or JSON file with fields of redrec.training.recipe.Recipe",
    )


def load_recipe(path: Path) -> "Recipe":
    """Return a preset by its name, or the recipe of a file."""
    from redrec.config import load_config
    from redrec.training.presets import PRESETS
    from redrec.training.recipe import Recipe

    return PRESETS[str(path)]() if str(path) in PRESETS else load_config(Recipe, path)


def recipe_json(path: Path | None) -> str:
    """Return the recipe file checked and as JSON, or "" for the defaults."""
    return load_recipe(path).model_dump_json() if path else ""
