"""`redrec gate`: decide an A/B experiment from its log and its plan, one decision per scenario."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import gate_interleave, gate_power, gate_simulate
from cli.command import Command, Outcome, add_command, batch_outcome, check_file
from cli.table import indented, table
from redrec.config import InputError

if TYPE_CHECKING:
    from redrec.experiments.decisions import Decision, Result
    from redrec.experiments.experiment import Experiment
    from redrec.experiments.plan import Plan
    from serving.config_map import MapName

SUMMARY = "decide an A/B experiment from its exposures, outcomes and plan, one decision per scenario"
EXAMPLE = (
    "# after `redrec demo`\nredrec gate --exposures demo/experiment/exposures.parquet "
    "--outcomes demo/experiment/outcomes.parquet --plan demo/experiment/plan.json --out decisions"
)


TASKS: dict[str, Command] = {"power": gate_power, "simulate": gate_simulate, "interleave": gate_interleave}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(dest="task", metavar="TASK", help="before an experiment; without one, decide it")
    for name, task in TASKS.items():
        add_command(tasks, name, task)
    parser.add_argument(
        "--exposures",
        type=Path,
        help="Parquet, CSV or JSON lines, file or folder: exposure_id, experiment, user_id, scenario, arm, timestamp",
    )
    parser.add_argument("--outcomes", type=Path, help="likewise: event_id, user_id, scenario, event, value, timestamp")
    parser.add_argument(
        "--plan",
        type=Path,
        help="YAML or JSON file with fields of redrec.experiments.plan.Plan (default: the plan of --allocation)",
    )
    parser.add_argument(
        "--batch",
        type=Path,
        metavar="DIR",
        help="decide many experiments: a folder of each with exposures.*, outcomes.* and plan.*; one JSON line each",
    )
    parser.add_argument(
        "--through",
        metavar="TIME",
        help="count rows before this time, as 2026-11-16T00:00:00Z (default: to the hour of the newest row)",
    )
    parser.add_argument(
        "--looks", choices=["last", "all"], default="last", help="print what each day decided (default: last)"
    )
    parser.add_argument(
        "--ledger", type=Path, help="JSON lines file that every result is added to; by it a changed plan is refused"
    )
    parser.add_argument(
        "--replay", action="store_true", help="decide the experiment's entries of the ledger again, and compare"
    )
    parser.add_argument(
        "--engine",
        choices=["duckdb", "spark"],
        default="duckdb",
        help="what reads the tables, with the same result; Spark needs redrec[spark] and Java 17 (default: duckdb)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="keep here what complete days say; later looks read only newer rows (for new tables, give a new folder)",
    )
    parser.add_argument(
        "--allocation",
        help="show what the decisions change in this allocation of `redrec serve`: a file, or configmap:NAME or "
        "configmap:NAME/NAMESPACE",
    )
    parser.add_argument("--apply", action="store_true", help="change the allocation")
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write JSON, Markdown and a page with pictures")


def run(arguments: argparse.Namespace) -> Outcome:
    return TASKS[arguments.task].run(arguments) if arguments.task else _decided(arguments)


def _decided(arguments: argparse.Namespace) -> Outcome:
    check_file("--ledger", arguments.ledger)
    through = None if arguments.through is None else _time(arguments.through)
    needed = ("exposures", "outcomes") if arguments.allocation else ("exposures", "outcomes", "plan")
    absent = [f"--{name}" for name in needed if getattr(arguments, name) is None]
    if arguments.batch and (len(absent) < len(needed) or arguments.allocation):
        raise InputError("--batch has the tables and plans in its folders. Leave out the options of one experiment.")
    if arguments.apply and not arguments.allocation:
        raise InputError("--apply changes what --allocation names. Give that, too.")
    if arguments.state and arguments.engine == "spark":
        raise InputError("--state is for tables that DuckDB reads. Leave out --state or --engine.")
    if arguments.batch:
        return _batch(arguments, through)
    if absent:
        raise InputError(f"{', '.join(absent)} is missing. Give --exposures, --outcomes and --plan, or --batch.")
    from redrec.experiments.experiment import Experiment

    allocation = _allocation(arguments.allocation) if arguments.allocation else None
    plan = _plan(arguments.plan, allocation)
    experiment = Experiment(arguments.exposures, arguments.outcomes, plan, arguments.engine)
    if arguments.replay:
        return _replayed(experiment, arguments.ledger)
    looks = experiment.decide(through, arguments.ledger, arguments.state)
    text = _text(looks, arguments.looks) + _written(looks, experiment, arguments.out)
    outcome = Outcome(_as_json(looks, arguments.looks), text)
    return _acted(outcome, looks[-1], allocation, arguments.apply) if allocation else outcome


def _allocation(text: str) -> "Path | MapName":
    from serving.config_map import MapName

    return MapName.read(text) or Path(text)


def _plan(path: Path | None, allocation: "Path | MapName | None") -> "Plan":
    """Return the plan of a file, or else that of the allocation."""
    from redrec.config import load_config
    from redrec.experiments.allocation import Allocation
    from redrec.experiments.plan import Plan
    from serving.mapped_allocation import read_map

    if path is not None:
        return load_config(Plan, path)
    assert allocation is not None
    current = load_config(Allocation, allocation) if isinstance(allocation, Path) else read_map(allocation)
    return current.plan


def _acted(outcome: Outcome, result: "Result", allocation: "Path | MapName", is_applied: bool) -> Outcome:
    """Return the outcome with what the result changes in the allocation."""
    from redrec.experiments.act import act
    from serving.mapped_allocation import act_on_map

    if isinstance(allocation, Path):
        changes = act(allocation, result, is_applied=is_applied)
    else:
        changes = act_on_map(allocation, result, is_applied=is_applied)
    done = f"Changed in {allocation}" if is_applied else f"Would change in {allocation} (--apply does it)"
    lines = indented("\n".join(changes or ["nothing"]))
    assert isinstance(outcome.result, dict)
    content = {**outcome.result, "allocation": {"changes": changes, "is_applied": is_applied}}
    return Outcome(content, f"{outcome.text}\n\n{done}:\n{lines}")


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--through {text}: {error}. Give a time like 2026-11-16T00:00:00Z.") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _written(looks: "list[Result]", experiment: "Experiment", out: Path | None) -> str:
    if out is None:
        return ""
    from redrec.experiments.experiment import write_reports

    files = write_reports(looks, experiment.plan, out)
    return f"\n\nThe pictures are in {files.page}, the numbers in {files.decisions}."


def _as_json(looks: "list[Result]", which: str) -> dict[str, Any]:
    content = [look.model_dump(mode="json", by_alias=True) for look in looks]
    return {**content[-1], "looks": content} if which == "all" else content[-1]


def _text(looks: "list[Result]", which: str) -> str:
    shown = looks if which == "all" else looks[-1:]
    return "\n\n".join(decisions_text(look.experiment, look.scenarios, look.look) for look in shown)


def decisions_text(experiment: str, decisions: "Mapping[str, Decision]", day: int) -> str:
    rows = [["scenario", "verdict", "reason"]]
    for scenario, decision in decisions.items():
        rows.append([scenario, decision.verdict, decision.reason])
    return f"Decisions of experiment {experiment} after day {day}:\n{indented(table(rows))}"


def _replayed(experiment: "Experiment", ledger: Path | None) -> Outcome:
    if ledger is None or not ledger.exists():
        raise InputError(f"--replay needs a ledger; seen: {ledger}. Give a file that `redrec gate --ledger` wrote.")
    rows, entries = [["until", "verdict then", "verdict now", ""]], []
    for one in experiment.replay(ledger):
        until, then, now = one.entry.until, one.entry.result.verdict, one.result.verdict
        rows.append([f"{until:%Y-%m-%d %H:%M}", then, now, one.comparison])
        entries.append({"until": until.isoformat(), "then": then, "now": now, "comparison": one.comparison})
    return Outcome({"experiment": experiment.plan.experiment, "entries": entries}, table(rows))


def _batch(arguments: argparse.Namespace, through: datetime | None) -> Outcome:
    from redrec.batch import folders_in
    from redrec.experiments.experiment import experiment_in

    def decided(name: str, folder: Path) -> tuple[dict[str, Any], str]:
        experiment = experiment_in(folder)._replace(engine=arguments.engine)
        looks = experiment.decide(through, arguments.ledger, arguments.state and arguments.state / name)
        written = _written(looks, experiment, arguments.out and arguments.out / name)
        return _as_json(looks, arguments.looks), _text(looks, arguments.looks) + written

    return batch_outcome("gate", folders_in(arguments.batch, "exposures.*, outcomes.* and plan.*"), decided)
