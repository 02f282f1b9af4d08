"""A referee's speed: training per history and per target, and RecBole's ranking of the whole catalog per user.

The data set's making and validation are left out, and so is the first epoch, which also warms up; it stands apart.
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

    `folder` is as for `run`; of it the configuration and the training events count. With `max_batches` an epoch ends
    there. RecBole's histories are its rows, one to each target.
    """
    with TemporaryDirectory() as scratch:
        inputs = _inputs(folder, Path(scratch), max_epochs=1 + repeats, max_batches=max_batches)
        run(script, inputs, environments)
        first, *later = [_rates(epoch) for epoch in load_config(Training, inputs / TRAINING).epochs]
    return {"first_epoch": first} | {name: _spread([rates[name] for rates in later]) for name in first}


def recbole_evaluation_speed(folder: Path, environments: Path) -> list[dict[str, float]]:
    """Return users, items, batch_size, users_per_second and cpu_seconds_per_user, of two batch sizes.

    They are RecBole's default and a hundred million scores. `folder` is as for `train_throughput`.
    """
    with TemporaryDirectory() as scratch:
        inputs = _inputs(folder, Path(scratch), max_epochs=1, max_batches=1)
        run("recbole_sasrec", inputs, environments)
        measured = json.loads((inputs / "evaluation.json").read_text(encoding="utf-8"))
    return [
        {name: each[name] for name in ("users", "items", "batch_size")}
        | {
            "users_per_second": each["users"] / each["wall_seconds"],
            "cpu_seconds_per_user": each["cpu_seconds"] / each["users"],
        }
        for each in measured
    ]


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


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
