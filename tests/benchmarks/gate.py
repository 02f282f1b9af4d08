"""Gate: how often it is wrong where nothing was planted, and how often it finds what was.

    python -m tests.benchmarks.gate --measure null --runs 2000 --json

Each run is a generated experiment (`tests.experiments.worlds`) of 14 days: heavy-tailed returning users, weekdays, day
shocks, scenarios that share their users. The gate looks every day. Beside it, on the same worlds:

- `peeked`: the plain test, by the same standard errors, at the same levels, read every day.
- `fixed`: the same rules read once, at the end.

Measures: `null` (the treatment's clicks begin 5 % higher, which fades in days), `null_1090` (a treatment of 10 %), `better` (homefeed +15 % clicks, 20,000 users), `worse`
(one scenario's clicks -12 %), `rare` (ads -60 % clicks while hides are rare), `trades` (what looks better and is not),
`ratio` (the sample ratio).
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from redrec.experiments.decisions import Result
from redrec.experiments.gate import result_of, views_of
from redrec.experiments.plan import Arm, Plan
from redrec.experiments.sample_ratio import INVALID_ABOVE, sample_ratio_evidence
from redrec.experiments.view import View
from tests.benchmarks.measure import commit, say
from tests.experiments.worlds import Planted, planned, world

SAY_EVERY = 100
NOVELTY = 0.05
EVERY_DAY, THE_END = range(1, 15), range(14, 15)
UNEQUAL = {"control": Arm(name="control", weight=0.9), "treatment": Arm(name="treatment", weight=0.1)}
TRADES: dict[str, tuple[Plan, dict[str, Planted]]] = {
    "search +25 %, homefeed -5 % and fewer impressions": (  # a total of -7 %
        planned(applies="shared"),
        {"search": Planted(click=0.25), "homefeed": Planted(click=-0.05, volume=-0.25)},
    ),
    "the same with a total of -2 %": (
        planned(applies="shared"),
        {"search": Planted(click=0.25), "homefeed": Planted(click=-0.05, volume=-0.145)},
    ),
    "weak users are shown 30 % less": (planned(), {"homefeed": Planted(weak_users=-0.3)}),
    "impressions -35 %, click rate +20 %": (planned(), {"homefeed": Planted(volume=-0.35, click=0.2)}),
}


class Run(NamedTuple):
    result: Result
    views: dict[str, View]

    def is_any(self, verdict: str) -> bool:
        return any(decision.verdict == verdict for decision in self.result.scenarios.values())

    def is_better_on(self, scenario: str, days: range) -> bool:
        """Return whether the plain test finds the primary better on one of the days."""
        view = self.views[scenario]
        bound = norm.isf(view.plan.alpha / len(self.views))
        return any(z >= bound for z in _statistics(view, view.primary.metric.name, days))

    def is_worse_on(self, scenario: str, days: range) -> bool:
        """Return whether the plain test finds any metric worse on one of the days."""
        view = self.views[scenario]
        bound = norm.isf(view.plan.harm_alpha / len(view.metrics))
        return any(-z >= bound for name in view.metrics for z in _statistics(view, name, days))

    def is_promoted_at_the_end(self, scenario: str) -> bool:
        """Return whether the rules of a promotion hold at the end, read once."""
        view = self.views[scenario]
        bound = norm.isf(view.plan.alpha)
        within = [view.metrics[name].within_margin_D[-1] for name in view.guardrails]
        return self.is_better_on(scenario, THE_END) and all(one and one.statistic >= bound for one in within)


def _statistics(view: View, metric: str, days: range) -> list[float]:
    differences = [view.metrics[metric].difference_D[day - 1] for day in days]
    return [difference.statistic for difference in differences if difference is not None]


def runs(num_runs: int, plan: Plan, planted: dict[str, Planted] | None = None, **changes: Any) -> Iterator[Run]:
    for seed in range(num_runs):
        if seed % SAY_EVERY == 0:
            say(f"{seed} of {num_runs} | {time.process_time():.0f} CPU s")
        log = world(seed, plan, planted=planted, **changes)
        views = views_of(log, plan)
        yield Run(result_of(log, plan, views), views)


def null(num_runs: int, plan: Plan, novelty: float = 0.0) -> dict[str, Any]:
    """Count verdicts where no effect lasts; with `novelty` the treatment's clicks begin that much higher, and fade."""
    counts: Counter[str] = Counter()
    for run in runs(num_runs, plan, novelty=novelty):
        for verdict in ("promote", "rollback", "invalid"):
            counts[f"any {verdict}"] += run.is_any(verdict)
        for name, decision in run.result.scenarios.items():
            counts[f"rollback of {name}"] += decision.verdict == "rollback"
        counts["peeked: any promote"] += any(run.is_better_on(name, EVERY_DAY) for name in run.views)
        counts["peeked: any rollback"] += any(run.is_worse_on(name, EVERY_DAY) for name in run.views)
    return dict(counts)


def better(num_runs: int) -> dict[str, Any]:
    """Return the share of runs in which homefeed's effect is promoted, by the gate and by its rules at the end."""
    promoted = [
        (run.result.scenarios["homefeed"].verdict == "promote", run.is_promoted_at_the_end("homefeed"))
        for run in runs(num_runs, planned(), {"homefeed": Planted(click=0.15)}, num_users=20_000)
    ]
    gate, fixed = np.mean(promoted, axis=0).tolist()
    return {"gate": gate, "fixed": fixed}


def worse(num_runs: int) -> dict[str, Any]:
    """Return, by scenario, the share of runs in which its harm is found, and on which day on average."""
    shares = {}
    for name in planned().scenarios:
        rolled_back, days = [], []
        for run in runs(num_runs, planned(), {name: Planted(click=-0.12)}):
            decision = run.result.scenarios[name]
            rolled_back.append((decision.verdict == "rollback", run.is_worse_on(name, THE_END)))
            days += [decision.look] * (decision.verdict == "rollback")
        gate, fixed = np.mean(rolled_back, axis=0).tolist()
        shares[name] = {"gate": gate, "fixed": fixed, "day": float(np.mean(days))}
    return shares


def rare(num_runs: int) -> dict[str, Any]:
    decided = runs(num_runs, planned(), {"ads": Planted(click=-0.6)}, hide_rate=0.0003)
    return {"rollback of ads": float(np.mean([run.result.scenarios["ads"].verdict == "rollback" for run in decided]))}


def trades(num_runs: int) -> dict[str, Any]:
    shares = {}
    for name, (plan, planted) in TRADES.items():
        shares[name] = float(np.mean([run.is_any("promote") for run in runs(num_runs, plan, planted)]))
    return shares


def ratio(num_runs: int) -> dict[str, Any]:
    """Count experiments of 80,000 users, read every day, that are invalid by their sample ratio."""
    alarms = {}
    for share in (0.5, 0.51):
        rng = np.random.default_rng(0)
        daily = np.full(14, 80_000 // 14)
        treated = [rng.binomial(daily, share).cumsum() for _ in range(num_runs)]
        alarms[share] = sum(_is_alarmed(counts_D, daily.cumsum()) for counts_D in treated)
    return {"of 50:50": alarms[0.5], "of 49:51": alarms[0.51]}


def _is_alarmed(treated_D: np.ndarray, users_D: np.ndarray) -> bool:
    pairs = zip((users_D - treated_D).tolist(), treated_D.tolist(), strict=True)
    return any(sample_ratio_evidence(control, treated, 0.5) >= INVALID_ABOVE for control, treated in pairs)


MEASURES: dict[str, Callable[[int], dict[str, Any]]] = {
    "null": lambda num_runs: null(num_runs, planned(), NOVELTY),
    "null_1090": lambda num_runs: null(num_runs, planned(**UNEQUAL)),
    "better": better,
    "worse": worse,
    "rare": rare,
    "trades": trades,
    "ratio": ratio,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", choices=MEASURES, required=True)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    figures = MEASURES[arguments.measure](arguments.runs)
    report = {"benchmark": "gate", "commit": commit(), **vars(arguments), **figures, "cpu_s": time.process_time()}
    print(json.dumps(report, indent=None if arguments.json else 2))


if __name__ == "__main__":
    main()
