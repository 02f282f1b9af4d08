"""The command line: `redrec validate|run|release|serve|query|push|forget|compile|train-job|demo`.

A command calls one function and prints its result: a text for people, one JSON document with `--json`.
Progress and errors go to standard error. Exit status 0 is done, 2 is an input to correct, 1 is anything else.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from components.train_job import TrainJobConfig, train_job
from pipelines.local import RunError
from redrec.config import InputError, validated

if TYPE_CHECKING:
    from redrec.recipe import Recipe


EXAMPLE_TABLES = "--events demo/input/events.parquet --items demo/input/items.parquet"  # `redrec demo` writes them


class Outcome(NamedTuple):
    result: dict[str, Any]  # printed with --json
    text: str  # printed without: what was done, where the files are, the next command


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        outcome: Outcome = arguments.call(arguments)
    except InputError as error:
        say(f"redrec {arguments.command}: {error}")
        return 2
    except (RunError, ConnectionError) as error:
        say(f"redrec {arguments.command}: {error}")
        return 1
    except ModuleNotFoundError as error:
        say(f"redrec {arguments.command} needs the Python package {error.name}. Install it: pip install 'redrec[all]'")
        return 1
    except KeyboardInterrupt:
        say(f"redrec {arguments.command}: stopped")
        return 130
    print(json.dumps(outcome.result) if arguments.json else outcome.text)
    return 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="redrec",
        description="Cross-scenario item retrieval: one user representation, asked one query per scenario.",
        epilog="Begin with: redrec demo",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    validate = add(commands, "validate", run_validate, "check an event log and an item table", EXAMPLE_TABLES)
    add_tables(validate)
    validate.add_argument("--out", type=Path, help="keep the checked tables here (default: thrown away)")
    validate.add_argument("--html", type=Path, help="write the report here too, as one HTML file (default: text alone)")
    add_recipe(validate)

    run = add(
        commands, "run", run_run, "train, evaluate and bundle, on this machine", f"{EXAMPLE_TABLES} --out runs/first"
    )
    add_tables(run)
    run.add_argument("--out", type=Path, required=True, help="run folder, new or of an earlier run")
    add_recipe(run)

    release = add(
        commands,
        "release",
        run_release,
        "evaluate and bundle a model that was trained elsewhere",
        "--data data --model model --out runs/first",
    )
    release.add_argument("--data", type=Path, required=True, help="data folder, as `redrec validate --out` writes it")
    release.add_argument("--model", type=Path, required=True, help="trained on it by a train-job or redrec.training")
    release.add_argument("--out", type=Path, required=True, help="run folder, new or of an earlier run")

    serve = add(
        commands, "serve", run_serve, "serve a bundle (V1 and V2 inference protocol)", "--bundle demo/run/bundle"
    )
    serve.add_argument("--bundle", type=Path, required=True, help="a release bundle: RUN/bundle")
    serve.add_argument("--features", type=Path, help="feature folder (default: `features` beside the bundle)")
    serve.add_argument("--port", type=int, default=8080, help="HTTP port (default: 8080)")

    query = add(commands, "query", run_query, "ask a running server for items", "--user 1 --scenario organic")
    query.add_argument("--user", required=True, help="user id")
    query.add_argument("--scenario", required=True, help="scenario of the bundle")
    query.add_argument("--k", type=int, default=10, help="number of items (default: 10)")
    query.add_argument("--url", default="http://localhost:8080", help="server (default: http://localhost:8080)")

    push = add(
        commands, "push", run_push, "add fresh events to the online histories", "--run demo/run --events new.csv"
    )
    push.add_argument("--run", type=Path, required=True, help="run folder, with `bundle` and `features`")
    push.add_argument("--events", type=Path, required=True, help="the new events: Parquet or CSV (.gz)")

    forget = add(
        commands, "forget", run_forget, "remove a user from a run and its online store", "--run demo/run --user 20"
    )
    forget.add_argument("--run", type=Path, required=True, help="run folder")
    forget.add_argument("--user", required=True, help="user id")
    forget.add_argument("--scenario", help="only what was done there (default: everything)")
    forget.add_argument(
        "--log",
        type=Path,
        action="append",
        default=[],
        help="a Parquet file with user_id, such as an experiment's log, or a data folder; may be repeated",
    )

    compile_ = add(
        commands, "compile", run_compile, "compile the pipeline for Kubeflow Pipelines", "--out training.yaml"
    )
    compile_.add_argument("--out", type=Path, default=Path("training.yaml"), help="file (default: training.yaml)")

    job = add(
        commands,
        "train-job",
        run_train_job,
        "print a Kubeflow TrainJob that trains on several nodes",
        "--claim redrec-data --num-nodes 2 | kubectl apply -f -",
    )
    for name, field in TrainJobConfig.model_fields.items():
        is_required = field.is_required()
        job.add_argument(
            f"--{name.replace('_', '-')}",
            required=is_required,
            default=argparse.SUPPRESS,  # TrainJobConfig has the defaults
            help=field.description if is_required else f"{field.description} (default: {field.default})",
        )
    add_recipe(job)

    demo = add(commands, "demo", run_demo, "the whole way on example data, in minutes", "--data world --out demo")
    demo.add_argument(
        "--data",
        choices=("complete-journey", "world"),
        default="complete-journey",
        help="grocery purchases in four scenarios, or a generated world of known truth (default: complete-journey)",
    )
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder for inputs and run (default: demo)")
    add_recipe(demo)
    return top


def add(commands: Any, name: str, call: Callable, summary: str, example: str) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"Example:\n  redrec {name} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # a wrapped example would not work as pasted
    )
    command.add_argument("--json", action="store_true", help="print the result as one JSON document")
    command.set_defaults(call=call)
    return command


def add_tables(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--events", type=Path, required=True, help="event log: Parquet or CSV (.gz), one row per interaction"
    )
    command.add_argument("--items", type=Path, required=True, help="item table: Parquet or CSV (.gz), one row per item")


def add_recipe(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--recipe",
        type=Path,
        help="a preset (redrec, hllm, sasrec), or a YAML or JSON file with fields of redrec.recipe.Recipe",
    )


def recipe_json(path: Path | None) -> str:
    """Return the recipe file checked and as JSON, or "" for the defaults."""
    return load_recipe(path).model_dump_json() if path else ""


def load_recipe(path: Path) -> "Recipe":
    from redrec.config import load_config
    from redrec.presets import PRESETS
    from redrec.recipe import Recipe

    return PRESETS[str(path)]() if str(path) in PRESETS else load_config(Recipe, path)


def run_validate(arguments: argparse.Namespace) -> Outcome:
    from pipelines.report import program, quality_page, quality_text
    from redrec.data.prepare import DataConfig, prepare

    config = load_recipe(arguments.recipe).data if arguments.recipe else DataConfig()
    with tempfile.TemporaryDirectory() as scratch:
        quality = prepare(arguments.events, arguments.items, arguments.out or Path(scratch) / "data", config)
    kept = f"The checked tables are in {arguments.out}.\n\n" if arguments.out else ""
    if arguments.html:
        quality_page(quality, arguments.html)
        kept += f"The report is in {arguments.html}.\n\n"
    next_command = f"{program()} run --events {arguments.events} --items {arguments.items} --out runs/first"
    return Outcome(quality.model_dump(), f"{quality_text(quality)}\n\n{kept}Next: {next_command}")


def run_run(arguments: argparse.Namespace) -> Outcome:
    from pipelines.local import run_training

    return run_outcome(
        run_training(arguments.events, arguments.items, arguments.out, recipe_json(arguments.recipe), say)
    )


def run_release(arguments: argparse.Namespace) -> Outcome:
    from pipelines.release import release

    return run_outcome(release(arguments.data, arguments.model, arguments.out, say))


def run_outcome(folder: Path) -> Outcome:
    from pipelines.report import read_run, run_text

    run = read_run(folder)
    return Outcome(run.as_json(), run_text(run))


def run_serve(arguments: argparse.Namespace) -> Outcome:
    from serving.app import serve

    features = arguments.features
    if features is None and (beside := arguments.bundle.parent / "features").is_dir():
        features = beside
    url = f"http://localhost:{arguments.port}"
    say(
        f"Serving {arguments.bundle} at {url}. Ask it from another terminal:\n"
        f"  redrec query --user U --scenario S --url {url}"
    )
    serve(arguments.bundle, features, arguments.port)
    return Outcome({"bundle": str(arguments.bundle), "url": url}, f"Stopped serving {arguments.bundle}.")


def run_query(arguments: argparse.Namespace) -> Outcome:
    from pipelines.report import answer_text
    from serving.client import query

    answer = query(arguments.url, arguments.user, arguments.scenario, arguments.k)
    return Outcome(answer, answer_text(answer))


def run_push(arguments: argparse.Namespace) -> Outcome:
    from feature_repo.push import Pusher, events_of
    from pipelines.report import pushed_text
    from redrec.bundle import Bundle

    pusher = Pusher(arguments.run / "features", Bundle.load(arguments.run / "bundle").item_index)
    found = [pusher.push(block) for block in events_of(arguments.events)]
    refused = [one for pushed in found for one in pushed.refused]
    counts = {name: sum(getattr(pushed, name) for pushed in found) for name in ("added", "known", "late")}
    reasons = {one.reason: [r.event._asdict() for r in refused if r.reason == one.reason] for one in refused}
    return Outcome({**counts, "refused": reasons}, pushed_text(counts, reasons))


def run_forget(arguments: argparse.Namespace) -> Outcome:
    from feature_repo.forget import forget_features
    from pipelines.report import forgotten_text
    from redrec.data.forget import Person, check_logs, forget_in_run

    person = Person(arguments.user, arguments.scenario)
    check_logs(arguments.log, person)
    found = forget_features(arguments.run / "features", person) | forget_in_run(arguments.run, arguments.log, person)
    if still := [place for place, of_place in found.items() if of_place.left]:
        raise RunError(f"{', '.join(still)} still hold something of user {person.user_id}. Run it again.")
    places = {place: of_place._asdict() for place, of_place in found.items()}
    return Outcome({**person._asdict(), "places": places}, forgotten_text(person, found))


def run_compile(arguments: argparse.Namespace) -> Outcome:
    from pipelines.compile import compile_training

    out = compile_training(arguments.out)
    return Outcome(
        {"pipeline": str(out)},
        f"Wrote {out}. Upload it in the Kubeflow Pipelines UI, or by its command line:\n"
        f"  kfp --endpoint URL pipeline create -p redrec-training {out}",
    )


def run_train_job(arguments: argparse.Namespace) -> Outcome:
    given = {name: value for name, value in vars(arguments).items() if name in TrainJobConfig.model_fields}
    objects = train_job(validated(TrainJobConfig, given, "options"), recipe_json(arguments.recipe) or "{}")
    return Outcome(
        {"apiVersion": "v1", "kind": "List", "items": objects}, yaml.safe_dump_all(objects, sort_keys=False).rstrip()
    )


def run_demo(arguments: argparse.Namespace) -> Outcome:
    from pipelines.demo import demo

    recipe = load_recipe(arguments.recipe) if arguments.recipe else None
    found = demo(arguments.data, arguments.out, recipe, say)
    return Outcome(found.as_json(), found.text())


if __name__ == "__main__":
    sys.exit(main())
