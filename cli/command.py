"""Command: the interface of every `redrec` subcommand, what it returns, and options that several share."""

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from cli.table import indented
from redrec.config import Config, InputError, changed, read_mapping, validated

if TYPE_CHECKING:
    from redrec.training.recipe import Recipe

ConfigT = TypeVar("ConfigT", bound=Config)
HEADLINE = "hit_rate@10"  # the metric that texts show
CONSTANT = re.compile("(^|,)(scenario|action)=")  # columns that all events may share
EXAMPLE_TABLES = "--events demo/input/events.parquet --items demo/input/items.parquet"  # `redrec demo` writes these
# of redrec.training.presets, whose import takes a second
PRESETS = ("redrec", "paper", "hllm", "sasrec", "tiny")


class Outcome(NamedTuple):
    result: dict[str, Any] | list[dict[str, Any]]  # printed with --json; each document of a list on a line of its own
    text: str  # printed without --json: what was done, where the files are, the next command
    status: int = 0  # of the program


class Command(Protocol):
    """What the module of a subcommand defines."""

    SUMMARY: str  # one line, without capital and full stop
    EXAMPLE: str  # shell lines that work as pasted; the last one calls the subcommand

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> Outcome: ...


def add_command(commands: Any, name: str, command: Command) -> None:
    """Add a command to the subparsers of a parser."""
    parser = commands.add_parser(
        name,
        help=command.SUMMARY,
        description=f"{command.SUMMARY[0].upper()}{command.SUMMARY[1:]}.",
        epilog=f"Example:\n{indented(command.EXAMPLE)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # a wrapped example would not work as pasted
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document (default: as text)")
    command.add_arguments(parser)


def say(line: str) -> None:
    """Print a progress line to standard error; standard output is for the result."""
    print(line, file=sys.stderr, flush=True)


def program() -> str:
    """Return how to call redrec from this shell: by name, or by path if its environment is not active."""
    if shutil.which("redrec"):
        return "redrec"
    return os.path.relpath(Path(sys.executable).with_name("redrec"))


def write_page(out: Path, template: str, **values: Any) -> None:
    """Write a template of this folder as one HTML file that loads no other file."""
    from jinja2 import Environment, PackageLoader

    page = Environment(loader=PackageLoader("cli", "."), autoescape=True).get_template(template)
    out.write_text(page.render(**values), encoding="utf-8")


def check_file(option: str, path: Path | None) -> None:
    """Raise InputError, before the work, if no file can be written to `path`."""
    if path is not None and path.is_dir():
        raise InputError(f"{option} {path} is a folder. Give a file.")
    if path is not None and not path.parent.is_dir():
        raise InputError(f"{option} {path} cannot be written: there is no folder {path.parent}. Make it first.")


def add_tables(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    sources = "Parquet, CSV, TSV or JSONL file; folder or glob of such; s3://...; postgres://...#TABLE"
    parser.add_argument("--events", required=required, help=f"event log, one row per interaction: {sources}")
    parser.add_argument("--items", required=required, help="item table, one row per item: as --events")
    parser.add_argument(
        "--map",
        dest="columns",
        metavar="THEIRS=OURS[,THEIRS=OURS]",
        action="append",
        default=[],
        help="names of columns, as in --map user=user_id,ts=timestamp; may be repeated (default: the same names)",
    )


def settings_of(arguments: argparse.Namespace) -> list[str]:
    """Return the settings of a command, those of columns among them, as fields of the recipe.

    >>> settings_of(argparse.Namespace(columns=["user=user_id"], settings=["scenario=web,seed=1"]))
    ['data.columns={"user": "user_id"}', 'data.constants.scenario=web,seed=1']
    """
    settings = [CONSTANT.sub(r"\1data.constants.\2=", setting) for setting in arguments.settings]
    columns = {}
    for pair in ",".join(arguments.columns).split(",") if arguments.columns else ():
        theirs, _, ours = pair.partition("=")
        if not theirs or not ours:
            raise InputError(f"--map {','.join(arguments.columns)} is no list of names. Write --map ts=timestamp.")
        columns[theirs] = ours
    return [f"data.columns={json.dumps(columns)}", *settings] if columns else settings


def add_recipe(parser: argparse.ArgumentParser, default: str = "redrec") -> None:
    parser.add_argument(
        "--recipe",
        help=f"preset ({', '.join(PRESETS)}), or YAML or JSON file as `redrec recipe` prints it (default: {default})",
    )
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE[,KEY=VALUE]",
        action="append",
        default=[],
        help="set fields of the recipe, as in --set optimizer.num_steps=2000,seed=1; scenario=NAME and action=NAME "
        "are for events without such a column; may be repeated (default: none)",
    )


def load_recipe(recipe: str, settings: Sequence[str]) -> "Recipe":
    """Return the preset of that name, or the recipe in that file, with the settings of the command."""
    if recipe in PRESETS:
        from redrec.training import presets

        return changed(presets.PRESETS[recipe](), settings, "--set")
    return changed(_recipe_in(Path(recipe)), settings, "--set")


def _recipe_in(path: Path) -> "Recipe":
    if not path.exists():
        raise InputError(f"--recipe {path} is no file and no preset. Give a file, or one of {', '.join(PRESETS)}.")
    content = read_mapping(path)  # before the import, which takes a second
    from redrec.training.recipe import Recipe

    return validated(Recipe, content, str(path))


def recipe_json(recipe: str | None, settings: Sequence[str]) -> str:
    """Return the checked recipe as JSON, or "" if neither a recipe nor a setting is given."""
    return load_recipe(recipe or "redrec", settings).model_dump_json() if recipe or settings else ""


def add_fields(parser: argparse.ArgumentParser, cls: type[Config]) -> None:
    """Add one option for each field of a config, whose description is the option's help."""
    for name, field in cls.model_fields.items():
        is_required = field.is_required()
        default = "none" if field.default is None else field.default
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            required=is_required,
            default=argparse.SUPPRESS,  # the config has the defaults
            help=field.description if is_required else f"{field.description} (default: {default})",
        )


def given_fields(arguments: argparse.Namespace, cls: type[ConfigT]) -> ConfigT:
    """Return the config of what the options of `add_fields` gave."""
    given = {name: value for name, value in vars(arguments).items() if name in cls.model_fields}
    return validated(cls, given, "options")


def batch_outcome(
    command: str,
    folders: Iterable[tuple[str, Path]],
    work: Callable[[str, Path], tuple[dict[str, Any], str]],
) -> Outcome:
    """Do the work on every folder; it returns its result and text, and of unusable input there is the error instead."""
    lines, texts = [], []
    for name, folder in folders:
        try:
            result, text = work(name, folder)
        except InputError as error:
            say(f"redrec {command}: {name}: {error}")
            lines.append({"folder": name, "error": str(error)})
            continue
        lines.append({"folder": name, **result})
        texts.append(text)
    return Outcome(lines, "\n\n".join(texts), 2 if len(texts) < len(lines) else 0)


def objects_outcome(objects: list[dict[str, Any]]) -> Outcome:
    """Return Kubernetes objects as `kubectl apply -f -` takes them."""
    import yaml

    return Outcome(
        {"apiVersion": "v1", "kind": "List", "items": objects}, yaml.safe_dump_all(objects, sort_keys=False).rstrip()
    )
