"""Gains: one model minus another, on the same users, from the ranks that `tests.benchmarks.quality` writes.

    python -m tests.benchmarks.quality.gains --set food-kitchen --of redrec-words-test --less hllm-words-test --json

A model's name is that of its files without the seed: preset, items, split, and changes if any. The seeds are those
that both models have, the intervals over users and seeds. Gains are of all users, and of the users with events in several
scenarios: only for them can another scenario help.

Shapes: R seeds, U users, T targets.
"""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.evaluation.metrics import user_metrics
from tests.benchmarks.measure import METRICS, over_users_and_seeds
from tests.benchmarks.quality.__main__ import RESULTS, Trial
from tests.benchmarks.quality.datasets import SETS, Protocol

K = 10
Metrics = dict[str, NDArray[np.float64]]  # of every user, by name


def gains(trial: Trial, model: str, rival: str) -> dict[str, Any]:
    """Return, per scenario, the gain of one model over another, of all users and of users in several scenarios."""
    folder = RESULTS / "ranks" / f"{trial.name}-{trial.protocol}"
    seeds = sorted(_seeds(folder, model) & _seeds(folder, rival))
    if not seeds:
        raise SystemExit(
            f"no seed of both {model} and {rival} in {folder}: run tests.benchmarks.quality for each first"
        )
    model_seeds = [_metrics_by_scenario(folder / f"{model}-{seed}.parquet") for seed in seeds]
    rival_seeds = [_metrics_by_scenario(folder / f"{rival}-{seed}.parquet") for seed in seeds]
    result: dict[str, Any] = {"seeds": seeds}
    for scenario, cases in zip(trial.scenarios, trial.cases, strict=True):
        model_metrics = [by_scenario[scenario] for by_scenario in model_seeds]
        rival_metrics = [by_scenario[scenario] for by_scenario in rival_seeds]
        is_several_U = np.array([len(np.unique(case.known(trial.histories).scenario_L)) > 1 for case in cases])
        result[scenario] = {
            "all": _gains(model_metrics, rival_metrics, np.full(len(cases), True)),
            "in_several_scenarios": _gains(model_metrics, rival_metrics, is_several_U),
        }
    return result


def _seeds(folder: Path, name: str) -> set[int]:
    return {int(path.stem.removeprefix(f"{name}-")) for path in folder.glob(f"{name}-[0-9].parquet")}


def _metrics_by_scenario(path: Path) -> dict[str, Metrics]:
    """Return each user's metrics by scenario, in the order of the cases."""
    table = pq.read_table(path)
    scenario_U = np.array(table["scenario"].to_pylist())
    rank_UT = np.array(table["ranks"].to_pylist())
    return {name: user_metrics(rank_UT[scenario_U == name], (K,)) for name in np.unique(scenario_U)}


def _gains(model_seeds: list[Metrics], rival_seeds: list[Metrics], is_in_U: NDArray[np.bool_]) -> dict[str, Any]:
    gains = {}
    for metric in METRICS:
        model_RU, rival_RU = (
            np.stack([metrics[metric][is_in_U] for metrics in seeds]) for seeds in (model_seeds, rival_seeds)
        )
        difference = over_users_and_seeds(model_RU - rival_RU)
        gains[metric] = {"difference": difference, "relative": difference["value"] / float(np.nanmean(rival_RU))}
    return gains


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quality.gains")
    parser.add_argument("--set", choices=list(SETS), default="food-kitchen")
    parser.add_argument("--protocol", choices=get_args(Protocol), default="global_time")
    parser.add_argument("--of", required=True, help="such as redrec-words-test")
    parser.add_argument("--less", required=True, help="such as hllm-words-test")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    result = gains(Trial(arguments.set, arguments.protocol), arguments.of, arguments.less)
    print(json.dumps({"benchmark": "gains", **vars(arguments), **result}, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
