"""A referee's speed: training per history and per target, and RecBole's ranking of the whole catalog per user.

Building the data set and validation are not measured. The first epoch, which also warms up, is reported separately.
"""

import json
import shutil
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from redrec.config import load_config
from tests.benchmarks.referees.contract import CONFIG, TRAIN, TRAINING, Epoch, RefereeConfig, Training
from tests.benchmarks.referees.environment import run


def train_throughput(
    script: str, folder: Path, environments: Path, repeats: int, max_batches: int | None = None
) -> dict[str, Any]:
    """Return the median of each rate over `repeats` epochs, with the least and the greatest, and the first epoch's.

    `folder` is as for `run`; only the configuration and the training events are used. `max_batches` limits an epoch.
    RecBole's histories are its rows, one per target.
    """
    with TemporaryDirectory() as scratch:
        inputs = _inputs(folder, Path(scratch), max_epochs=1 + repeats, max_batches=max_batches)
        run(script, inputs, environments)
        first, *later = [_rates(epoch) for epoch in load_config(Training, inputs / TRAINING).epochs]
    return {"first_epoch": first} | {name: _spread(later, name) for name in first}


def recbole_evaluation_speed(folder: Path, environments: Path) -> list[dict[str, float]]:
    """Return users, items, batch_size, users_per_second and cpu_seconds_per_user for two batch sizes.

    The sizes are RecBole's default and a hundred million scores. `folder` is as for `train_throughput`.
    """
    with TemporaryDirectory() as scratch:
        inputs = _inputs(folder, Path(scratch), max_epochs=1, max_batches=1)
        run("recbole_sasrec", inputs, environments)
        measured = json.loads((inputs / "evaluation.json").read_text(encoding="utf-8"))
    return [_evaluation_rates(evaluation) for evaluation in measured]


def _evaluation_rates(evaluation: dict[str, float]) -> dict[str, float]:
    return {
        "users": evaluation["users"],
        "items": evaluation["items"],
        "batch_size": evaluation["batch_size"],
        "users_per_second": evaluation["users"] / evaluation["wall_seconds"],
        "cpu_seconds_per_user": evaluation["cpu_seconds"] / evaluation["users"],
    }


def _inputs(folder: Path, scratch: Path, **changes: int | None) -> Path:
    config = load_config(RefereeConfig, folder / CONFIG).model_copy(update=changes)
    (scratch / CONFIG).write_text(config.model_dump_json(), encoding="utf-8")
    shutil.copy(folder / TRAIN, scratch)
    return scratch


def _rates(epoch: Epoch) -> dict[str, float]:
    return {
        "histories_per_second": epoch.histories / epoch.wall_seconds,
        "targets_per_second": epoch.targets / epoch.wall_seconds,
        "cpu_seconds_per_target": epoch.cpu_seconds / epoch.targets,
    }


def _spread(rates: list[dict[str, float]], name: str) -> dict[str, float]:
    values = [epoch[name] for epoch in rates]
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
