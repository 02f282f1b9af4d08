"""Gains: one model less another, on the same users, from the ranks that `tests.benchmarks.quality` keeps.

    python -m tests.benchmarks.quality.gains --set food-kitchen --of redrec-words-test --less hllm-words-test --json

A model is named as its files are, less the seed: preset, items, part, and changes if any. Each user's metric is the mean
over the seeds that both have. Beside all users stand those who are known in more than one scenario: only of them can
another scenario tell anything.

Shapes: U users, T targets.
"""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.evaluation.intervals import paired_gain
from redrec.evaluation.metrics import user_metrics
from tests.benchmarks.quality.__main__ import RESULTS, Trial
from tests.benchmarks.quality.datasets import SETS, Protocol

METRICS = ("hit_rate@10", "ndcg@10")
K = 10


def gains(trial: Trial, model: str, rival: str) -> dict[str, Any]:
    """Return, per scenario, the gain of one model over another, of all users and of those in several scenarios."""
    folder = RESULTS / "ranks" / f"{trial.name}-{trial.protocol}"
    seeds = sorted(_seeds(folder, model) & _seeds(folder, rival))
    if not seeds:
        raise SystemExit(
            f"no seed of both {model} and {rival} in {folder}: run tests.benchmarks.quality for each first"
        )
    sides = [[_of_scenarios(folder / f"{name}-{seed}.parquet") for seed in seeds] for name in (model, rival)]
    found: dict[str, Any] = {"seeds": seeds}
    for scenario, cases in zip(trial.scenarios, trial.cases, strict=True):
        is_several_U = np.array([len(np.unique(case.known(trial.histories).scenario_L)) > 1 for case in cases])
        found[scenario] = {
            users: {
                metric: _gain([[of[scenario][metric][is_in_U] for of in side] for side in sides]) for metric in METRICS
            }
            for users, is_in_U in {"all": np.full(len(cases), True), "in_several_scenarios": is_several_U}.items()
        }
    return found


def _seeds(folder: Path, name: str) -> set[int]:
    return {int(path.stem.removeprefix(f"{name}-")) for path in folder.glob(f"{name}-[0-9].parquet")}


def _of_scenarios(path: Path) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return each user's metrics by scenario, in the order of the cases."""
    table = pq.read_table(path)
    scenario_U = np.array(table["scenario"].to_pylist())
    rank_UT = np.array(table["ranks"].to_pylist())
    return {name: user_metrics(rank_UT[scenario_U == name], (K,)) for name in np.unique(scenario_U)}


def _gain(sides: list[list[NDArray[np.float64]]]) -> dict[str, Any]:
    gain = paired_gain(*(np.mean(of_seeds, axis=0) for of_seeds in sides), seed=0)
    return {"difference": gain.difference.model_dump(), "relative": gain.relative.value}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quality.gains")
    parser.add_argument("--set", choices=list(SETS), default="food-kitchen")
    parser.add_argument("--protocol", choices=get_args(Protocol), default="global_time")
    parser.add_argument("--of", required=True, help="such as redrec-words-test")
    parser.add_argument("--less", required=True, help="such as hllm-words-test")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    found = gains(Trial(arguments.set, arguments.protocol, "words"), arguments.of, arguments.less)
    print(json.dumps({"benchmark": "gains", **vars(arguments), **found}, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
