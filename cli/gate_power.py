"""`redrec gate power`: which effects an experiment's plan would promote, from the log of a time before it."""

import argparse
from pathlib import Path

from cli.command import Outcome, say
from cli.table import indented, table
from redrec.config import InputError

SUMMARY = "show how likely a plan promotes an effect, from the log of a time before it"
EXAMPLE = (
    "# after `redrec demo`\nredrec gate power --outcomes demo/experiment/outcomes.parquet "
    "--plan demo/experiment/plan.json --effect 0.1"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_history(parser)
    parser.add_argument("--effect", type=float, required=True, help="relative change for the better, as in 0.05")
    parser.add_argument(
        "--users", type=int, help="how many users a scenario will have (default: as many as the log has in those days)"
    )


def add_history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--outcomes", type=Path, required=True, help="log of a time before, with columns as those of `redrec gate`"
    )
    parser.add_argument("--plan", type=Path, required=True, help="plan of the experiment, as that of `redrec gate`")


def run(arguments: argparse.Namespace) -> Outcome:
    if not 0 <= arguments.effect < 1:
        raise InputError(f"--effect {arguments.effect} is not allowed. Give a relative change from 0 to 1, as in 0.05.")
    if arguments.users is not None and arguments.users < 1:
        raise InputError(f"--users {arguments.users} is not allowed. Give a number of users.")
    from redrec.config import load_config
    from redrec.data.tables import connect
    from redrec.experiments.gate import views_of
    from redrec.experiments.history import moved, read_history
    from redrec.experiments.plan import Plan
    from redrec.experiments.power import ENOUGH, power

    plan = load_config(Plan, arguments.plan)
    if plan.applies == "shared":
        raise InputError("A shared plan has one decision for all scenarios. Use `redrec gate simulate` for it.")
    plan = moved(plan, arguments.outcomes, connect())
    views = views_of(read_history(arguments.outcomes, plan), plan)
    level = plan.alpha / len(views)
    powers = {name: power(view, arguments.effect, level, arguments.users) for name, view in views.items()}
    rows = [["scenario", "users", "power", "each alone", f"effect with power {ENOUGH:g}"]]
    for name, one in powers.items():
        alone = ", ".join(f"{metric} {share:.2f}" for metric, share in one.alone.items())
        smallest = "none" if one.smallest_effect is None else f"{one.smallest_effect:+.1%}"
        rows.append([name, f"{one.users:,}", f"{one.power:.2f}", alone, smallest])
        if one.power < ENOUGH:
            weakest = min(one.alone, key=lambda metric: one.alone[metric])
            say(f"warning: {name} has power {one.power:.2f}, below {ENOUGH:g}; {weakest} costs most.")
    text = f"Power of {arguments.effect:+.1%} {plan.primary.name} in {plan.days} days:\n{indented(table(rows))}"
    return Outcome({name: one.model_dump() for name, one in powers.items()}, text)
