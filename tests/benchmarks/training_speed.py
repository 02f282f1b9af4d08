"""Training and ranking speed against RecTools' and RecBole's SASRec, at equal width, layers, heads, length, batch, loss.

On Food-Kitchen, one thread on both sides, in one command. A target is an item with a loss term: next-item models have
one at each position, `redrec` a window of them at each of its cuts. Our training time is drawing a batch, forward,
backward and the optimizer; theirs is an epoch without building the data set. Ranking time is all that a library does
from histories to ranks among all items.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np
import torch

from redrec.config import changed
from redrec.data.histories import TRAIN
from redrec.evaluation.scorers import exported_towers
from redrec.training.batches import Shard
from redrec.training.export import export_towers
from redrec.training.presets import PRESETS
from redrec.training.recipe import Recipe
from redrec.training.trainer import TrainingRun
from tests.benchmarks.measure import main, say
from tests.benchmarks.quality.__main__ import RESULTS, Trial
from tests.benchmarks.quality.referee import events_of
from tests.benchmarks.referees.contract import RefereeConfig, write_inputs
from tests.benchmarks.referees.throughput import recbole_evaluation_speed, train_throughput

Loss = Literal["sampled_softmax", "softmax"]  # the second over a whole catalog: theirs all items, ours the scenario's
LOSSES: tuple[Loss, ...] = get_args(Loss)
STEPS = 25
NUM_UNTIMED = 5
NUM_NEGATIVES = 512  # per target of a sampled loss
SIZES = ("user_tower.backbone.num_layers=1", "user_tower.backbone.num_heads=2")  # all others are a referee's
AT_EVERY_POSITION = (
    'history.policy="sorted"',
    "history.max_events=50",
    "user_tower.num_queries=1",
    "batch.num_cuts=24",
    'batch.queried="next"',
    "batch.target_window=1",
)
REFEREE_BATCHES = 5  # per epoch: with full cross-entropy a whole one takes minutes


def run(repeats: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    trial = Trial("food-kitchen", "abxi")
    presets = {name: changed(PRESETS[name](), SIZES) for name in ("sasrec", "hllm", "redrec")}
    presets["redrec"] = changed(presets["redrec"], AT_EVERY_POSITION)
    result: dict[str, Any] = {"repeats": repeats}
    with TemporaryDirectory() as scratch:
        for loss in LOSSES:
            for preset in presets if loss == "sampled_softmax" else ("sasrec",):
                config = with_loss(presets[preset], loss)
                result[f"train/{loss}/{preset}"] = our_training(trial, config, Path(scratch) / loss / preset, repeats)
                say(f"train | {loss} | {preset} | {result[f'train/{loss}/{preset}']}")
            folder = Path(scratch) / loss / "referee"
            referee = RefereeConfig(
                num_items=trial.allowed_SN.shape[1], loss=loss, num_negatives=NUM_NEGATIVES, num_layers=1
            )
            write_inputs(folder, referee, events_of(trial.histories, TRAIN))
            result[f"train/{loss}/rectools_sasrec"] = train_throughput(
                "rectools_models", folder, RESULTS / "env", repeats, max_batches=REFEREE_BATCHES
            )
            say(f"train | {loss} | rectools | {result[f'train/{loss}/rectools_sasrec']}")
        result["rank/redrec"] = our_ranking(trial, presets["redrec"], Path(scratch) / "ranking")
        result["rank/recbole_sasrec"] = recbole_evaluation_speed(folder, RESULTS / "env")
    return result


def with_loss(config: Recipe, loss: Loss) -> Recipe:
    """Return the recipe with the loss and as many negatives per target as the referee has."""
    negatives = {"num_uniform_negatives": NUM_NEGATIVES // 2, "num_popular_negatives": NUM_NEGATIVES // 2}
    max_full_catalog = 10**6 if loss == "softmax" else 0
    return config.model_copy(
        update={
            "batch": config.batch.model_copy(update=negatives),
            "loss": config.loss.model_copy(update={"max_full_catalog": max_full_catalog}),
        }
    )


def our_training(trial: Trial, config: Recipe, out: Path, repeats: int) -> dict[str, float]:
    """Return the medians over `repeats` runs of `STEPS` steps."""
    learning, rates = TrainingRun(trial.data, out, config, Shard()), []
    learning.towers.train()
    for step in range(NUM_UNTIMED):
        learning._step(step, [learning.batches.draw(step, Shard())])
    for repeat in range(repeats):
        wall, cpu, targets = time.perf_counter(), time.process_time(), 0
        for step in range(NUM_UNTIMED + repeat * STEPS, NUM_UNTIMED + (repeat + 1) * STEPS):
            batch = learning.batches.draw(step, Shard())
            learning._step(step, [batch])
            targets += int(batch.is_target_BCW.sum())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rates.append((STEPS * config.batch.num_users / wall, targets / wall, cpu / targets))
    names = ("histories_per_second", "targets_per_second", "cpu_seconds_per_target")
    return dict(zip(names, np.median(rates, axis=0).tolist(), strict=True))


def our_ranking(trial: Trial, config: Recipe, out: Path) -> dict[str, float]:
    """Return how fast the cases of all scenarios are ranked, from histories to ranks."""
    learning = TrainingRun(trial.data, out, config, Shard())
    export_towers(learning.towers, learning.content, len(learning.vocabulary.scenarios), out)
    scorer = exported_towers(out, config.history)
    wall, cpu = time.perf_counter(), time.process_time()
    users = sum(len(trial.full_ranks(scorer, scenario).rank_UT) for scenario in range(len(trial.scenarios)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"users": users, "users_per_second": users / wall, "cpu_seconds_per_user": cpu / users}


if __name__ == "__main__":
    main("training_speed", run, repeats=3)
