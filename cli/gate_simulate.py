"""`redrec gate simulate`: run a plan many times on the log of a time before it, with and without an effect."""

import argparse
from collections import Counter
from typing import get_args

from cli.command import Outcome, say
from cli.gate_power import add_history
from cli.table import indented, table
from redrec.config import InputError

SUMMARY = "run a plan many times on the log of a time before it, each time with other arms"
EXAMPLE = (
    "# after `redrec demo`\nredrec gate simulate --outcomes demo/experiment/outcomes.parquet "
    "--plan demo/experiment/plan.json --runs 20 --effect ads=0.1"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_history(parser)
    parser.add_argument("--runs", type=int, default=100, help="how many experiments (default: 100)")
    parser.add_argument(
        "--effect",
        metavar="SCENARIO=CHANGE",
        action="append",
        default=[],
        help="plant a relative change of the primary's event, as in ads=0.05; may be repeated (default: none)",
    )


def run(arguments: argparse.Namespace) -> Outcome:
    if arguments.runs < 1:
        raise InputError(f"--runs {arguments.runs} is not allowed. Give a number of experiments.")
    effects = dict(map(_effect, arguments.effect))
    from redrec.config import load_config
    from redrec.data.tables import connect
    from redrec.experiments.decisions import Verdict
    from redrec.experiments.gate import decide_log
    from redrec.experiments.history import moved, read_history
    from redrec.experiments.plan import Plan

    plan = load_config(Plan, arguments.plan)
    if unknown := sorted(set(effects) - set(plan.scenarios)):
        raise InputError(f"--effect {unknown[0]}: the plan has {', '.join(plan.scenarios)}. Give one of them.")
    plan = moved(plan, arguments.outcomes, connect())
    verdicts: dict[str, Counter[str]] = {name: Counter() for name in plan.scenarios}
    for number in range(arguments.runs):
        say(f"experiment {number + 1}/{arguments.runs}")
        result = decide_log(read_history(arguments.outcomes, plan, effects, number), plan)
        for name, decision in result.scenarios.items():
            verdicts[name][decision.verdict] += 1
    shares = {name: _shares(counts, arguments.runs) for name, counts in verdicts.items()}
    rows = [["scenario", "planted", *get_args(Verdict)]]
    for name, of_verdicts in shares.items():
        rows.append([name, f"{effects.get(name, 0):+.1%}", *map("{:.2f}".format, of_verdicts.values())])
    return Outcome(shares, f"Share of {arguments.runs} experiments by verdict:\n{indented(table(rows))}")


def _shares(counts: Counter[str], num_runs: int) -> dict[str, float]:
    from redrec.experiments.decisions import Verdict

    return {verdict: counts[verdict] / num_runs for verdict in get_args(Verdict)}


def _effect(text: str) -> tuple[str, float]:
    scenario, _, change = text.partition("=")
    try:
        value = float(change)
    except ValueError:
        value = -1.0
    if not scenario or not -1 < value < 1:
        raise InputError(f"--effect {text} is no change of a scenario. Write --effect ads=0.05.")
    return scenario, value
