"""The files between us and a referee: a folder with our inputs and its outputs.

| file | columns or content |
|---|---|
| `config.json` | `RefereeConfig` |
| `train.parquet` | user, item, timestamp_ms (int64): the training events; equal times keep the row order |
| `valid.parquet` | the same, optional: the events for early stopping; only each user's first counts |
| `cases.parquet` | history (list of int64), optional: one row per case, item indices, oldest first |
| `training.json` | `Training` |
| `users.npy`, `items.npy` | `users_CD`, `items_ND` (float32), if there are cases: a score is their dot product |

No referee imports redrec or reads a split or a test target.

Shapes: C cases, N items of the whole catalog, D the referee's width and one more (see `rectools_sasrec`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from redrec.config import Config, InputError, load_config

CONFIG, TRAIN, VALID, CASES, TRAINING = (
    "config.json",
    "train.parquet",
    "valid.parquet",
    "cases.parquet",
    "training.json",
)
EVENTS = pa.schema({"user": pa.int64(), "item": pa.int64(), "timestamp_ms": pa.int64()})
HISTORIES = pa.schema({"history": pa.list_(pa.int64())})


class RefereeConfig(Config):
    num_items: PositiveInt
    width: PositiveInt = 64
    num_layers: PositiveInt = 2
    num_heads: PositiveInt = 2
    length: PositiveInt = 50  # of a history, in events
    dropout: float = Field(default=0.2, ge=0, lt=1)
    loss: Literal["softmax", "sampled_softmax"] = "softmax"  # the first is over the whole catalog
    num_negatives: PositiveInt = 256  # per target of a sampled loss
    batch_size: PositiveInt = 128  # the referee's own rows: histories, in RecBole targets
    learning_rate: PositiveFloat = 1e-3
    max_epochs: PositiveInt = 100
    max_batches: PositiveInt | None = None  # per epoch; absent: all
    patience: PositiveInt = 10  # epochs without a better NDCG@10 of the validation events
    seed: NonNegativeInt = 0
    num_threads: PositiveInt = 1


class Epoch(Config):
    """Training alone, without building the data set and without validation."""

    wall_seconds: NonNegativeFloat
    cpu_seconds: NonNegativeFloat
    histories: NonNegativeInt
    targets: NonNegativeInt


class Training(Config):
    epochs: tuple[Epoch, ...]
    best_epoch: NonNegativeInt  # index in `epochs`; its weights were kept


class Outputs(NamedTuple):
    users_CD: NDArray[np.float32]
    items_ND: NDArray[np.float32]
    training: Training


def write_inputs(
    folder: Path, config: RefereeConfig, train: pa.Table, valid: pa.Table | None, histories: Sequence[Sequence[int]]
) -> None:
    """Write a new folder.

    Raises:
        InputError: An event or a history names an item outside the catalog.
    """
    tables = {TRAIN: train.select(EVENTS.names).cast(EVENTS)}
    if valid is not None:
        tables[VALID] = valid.select(EVENTS.names).cast(EVENTS)
    if histories:
        tables[CASES] = pa.table({"history": pa.array(histories, HISTORIES.field(0).type)})
    for name, table in tables.items():
        _check_items(table, name, config.num_items)

    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(config.model_dump_json(indent=1), encoding="utf-8")
    for name, table in tables.items():
        pq.write_table(table, folder / name)


def _check_items(table: pa.Table, name: str, num_items: int) -> None:
    items = pc.list_flatten(table["history"]) if name == CASES else table["item"]
    limits = pc.min_max(items).as_py()
    if len(items) and not 0 <= limits["min"] <= limits["max"] < num_items:
        raise InputError(
            f"{name} has items from {limits['min']} to {limits['max']}; the catalog's are 0 to {num_items - 1}. "
            "Give item indices, or the catalog's real size as num_items."
        )


def outputs(folder: Path) -> Outputs:
    """Return a referee's vectors for `cases.parquet`, and its training record."""
    training = load_config(Training, folder / TRAINING)
    return Outputs(np.load(folder / "users.npy"), np.load(folder / "items.npy"), training)
