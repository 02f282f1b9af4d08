"""Ablation: what each idea of RED-Rec is worth where scenarios share items, measured by leaving it out.

    python -m tests.benchmarks.ablation --data world --without scenario_queries --seeds 3 --json

The whole model and the one without the idea are trained on the same tables with the same seeds, evaluated on the test
split of a run, and compared user by user, as they are served and without boosts, with an interval over users and seeds. Trained models stay in
`tests/benchmarks/results/ablation`.

- `mixing`: the newest events of all scenarios in time order (`sorted`), as many as the quotas allow together.
- `second_axis`: quotas, but one position along time (`quota_1d`).
- `scenario_queries`: all scenarios share their query tokens.
- `interests`: one query per scenario instead of three.
- `window`: the next event is the only target.
- `three_parts`: without mixing, interests and window.

In `busy-world` the feed has four times as many events as in `world`, so that the newest ones of all scenarios hold few of
the others.

Shapes: R seeds, U users.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import Tensor

from redrec.config import changed
from redrec.data.prepare import prepare
from redrec.data.split import read_vocabulary
from redrec.datasets import complete_journey
from redrec.datasets.world import World, WorldConfig
from redrec.evaluation.evaluate import TOWERS, WITHOUT_BOOSTS, evaluate
from redrec.evaluation.metrics import user_metrics
from redrec.folders import EvaluationFolder
from redrec.model.user_tower import Queries
from redrec.training.presets import PRESETS
from redrec.training.recipe import Recipe
from redrec.training.trainer import train
from tests.benchmarks.measure import METRICS, ROOT, commit, over_users_and_seeds, say

RESULTS = ROOT / "tests" / "benchmarks" / "results" / "ablation"
WHOLE = "whole"
CHANGES: dict[str, list[str]] = {
    "mixing": ['history.policy="sorted"'],
    "second_axis": ['history.policy="quota_1d"'],
    "scenario_queries": [],  # `shared_queries`
    "interests": ["user_tower.num_queries=1"],
    "window": ["batch.target_window=1"],
}
CHANGES["three_parts"] = [*CHANGES["mixing"], *CHANGES["interests"], *CHANGES["window"]]
WORLDS = {"world": WorldConfig(), "busy-world": WorldConfig(events_per_user=(96.0, 5.0, 3.0))}
COMPLETE_JOURNEY = "complete-journey"


@contextmanager
def shared_queries() -> Iterator[None]:
    """All scenarios have the query tokens of the first."""
    of_scenario = Queries.forward

    def forward(queries: Queries, newest_PH: Tensor, scenario_P: Tensor, gap_P: Tensor) -> Tensor:
        return of_scenario(queries, newest_PH, 0 * scenario_P, gap_P)

    with mock.patch.object(Queries, "forward", forward):
        yield


def recipe_of(data: str, without: str, seed: int) -> Recipe:
    """Return the paper's mixing and interests, with the default's window, without an idea."""
    whole = PRESETS["paper"]()
    num_events = len(read_vocabulary(folder_of(data)).scenarios) * whole.history.max_events_per_scenario
    history = whole.history.model_copy(update={"max_events": num_events})
    update = {"seed": seed, "history": history, "user_tower": whole.user_tower}
    return changed(Recipe().model_copy(update=update), CHANGES.get(without, []))


def folder_of(data: str) -> Path:
    folder = RESULTS / data / "data"
    if not folder.exists():
        tables, world = RESULTS / data / "input", WORLDS.get(data)
        prepare(*(World(world).write(tables) if world else complete_journey.write(tables)), folder, Recipe().data)
    return folder


def users_of(data: str, without: str, seed: int) -> Path:
    """Return the ranks of every user; a model that no earlier run has trained is trained."""
    out = RESULTS / data / without / str(seed)
    users = EvaluationFolder(out / "evaluation").users
    if not users.exists():
        say(f"{data} | without {without} | seed {seed}")
        with shared_queries() if without == "scenario_queries" else nullcontext():
            train(folder_of(data), out, recipe_of(data, without, seed))
        evaluate(folder_of(data), out, out / "evaluation")
    return users


def metric_of(users: Path, scenario: str, model: str, metric: str) -> NDArray[np.float64]:
    table = pq.read_table(users, columns=["scenario", "model", "ranks"])
    ranks = table.filter(pc.and_(pc.equal(table["scenario"], scenario), pc.equal(table["model"], model)))["ranks"]
    most = pc.max(pc.list_value_length(ranks)).as_py()
    rank_UT = np.array([row + [0] * (most - len(row)) for row in ranks.to_pylist()])
    return user_metrics(rank_UT, (10,))[metric]


def compare(data: str, without: str, seeds: int) -> dict[str, Any]:
    """Return, per scenario and metric, the whole model's value and how far it is above the one without the idea."""
    whole, less = ([users_of(data, name, seed) for seed in range(seeds)] for name in (WHOLE, without))
    result: dict[str, Any] = {}
    for scenario in read_vocabulary(folder_of(data)).scenarios:
        result[scenario] = {}
        for model in (TOWERS, WITHOUT_BOOSTS):
            for metric in METRICS:
                whole_RU, less_RU = (
                    np.stack([metric_of(users, scenario, model, metric) for users in of_seeds])
                    for of_seeds in (whole, less)
                )
                worth = {"whole": float(whole_RU.mean()), "worth": over_users_and_seeds(whole_RU - less_RU)}
                result[scenario][f"{model} {metric}"] = worth
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ablation")
    parser.add_argument("--data", choices=[*WORLDS, COMPLETE_JOURNEY], default="world")
    parser.add_argument("--without", choices=list(CHANGES), default="scenario_queries")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    result = compare(arguments.data, arguments.without, arguments.seeds)
    report = {"benchmark": "ablation", "commit": commit(), **vars(arguments), "result": result}
    print(json.dumps(report, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
