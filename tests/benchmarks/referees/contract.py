"""The files between us and a referee: a folder with our inputs and its outputs.

| file | columns or content |
|---|---|
| `config.json` | `RefereeConfig` |
| `train.parquet` | user, item, timestamp_ms (int64): the training events; equal times keep the row order |
| `cases.parquet` | history, timestamps_ms (lists of int64, oldest first), moment_ms: a query; optional |
| `valid.parquet` | the same and a target item: the queries for early stopping; optional |
| `training.json` | `Training` |
| `users.npy`, `items.npy` | `users_CD`, `items_ND` (float32), if there are cases: a score is their dot product |

No referee imports redrec or reads a split or a test target.

Shapes: C cases, N items of the whole catalog, D the referee's width and one more (see `queries`).
"""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from redrec.config import Config, InputError, load_config

CONFIG, TRAIN, VALID, CASES = "config.json", "train.parquet", "valid.parquet", "cases.parquet"
TRAINING, USERS, ITEMS = "training.json", "users.npy", "items.npy"
EVENTS = pa.schema({"user": pa.int64(), "item": pa.int64(), "timestamp_ms": pa.int64()})
QUERIES = pa.schema({"history": pa.list_(pa.int64()), "timestamps_ms": pa.list_(pa.int64()), "moment_ms": pa.int64()})
TARGETS = QUERIES.append(pa.field("target", pa.int64()))


class RefereeSettings(Config):
    """What is tuned; a field of one model alone names it."""

    model: Literal["sasrec", "esasrec", "hstu", "bsarec"] = "sasrec"
    width: PositiveInt = 64
    num_layers: PositiveInt = 2
    num_heads: PositiveInt = 2
    length: PositiveInt = 50  # of a history, in events
    dropout: float = Field(default=0.2, ge=0, lt=1)
    loss: Literal["softmax", "sampled_softmax"] = "softmax"  # the first is over the whole catalog
    num_negatives: PositiveInt = 256  # per target of a sampled loss
    similarity: Literal["dot", "cosine"] = "dot"
    temperature: PositiveFloat = 1.0  # logits are divided by it
    skips_padding: bool = False  # RecTools: the logits of padding are not computed; the loss is the same
    feed_forward_multiplier: PositiveInt = 4  # eSASRec
    has_time_bias: bool = True  # HSTU: attention depends on the times of the events
    low_pass_share: float = Field(default=0.7, ge=0, le=1)  # BSARec's alpha; the rest is attention
    num_low_frequencies: PositiveInt = 5  # BSARec's c
    checkout: Path | None = None  # BSARec: of its repository
    batch_size: PositiveInt = 128  # the referee's own rows: histories, in RecBole and BSARec targets
    learning_rate: PositiveFloat = 1e-3
    max_epochs: PositiveInt = 100
    patience: PositiveInt = 10  # epochs without a better NDCG@10 of the validation queries


class RefereeConfig(RefereeSettings):
    num_items: PositiveInt
    hides_known: bool = False  # the items of a query's history are not ranked
    max_batches: PositiveInt | None = None  # per epoch; absent: all
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
    ndcgs: tuple[NonNegativeFloat, ...] = ()  # NDCG@10 of the validation queries after each epoch


class Outputs(NamedTuple):
    users_CD: NDArray[np.float32]
    items_ND: NDArray[np.float32]
    training: Training


def write_inputs(
    folder: Path, config: RefereeConfig, train: pa.Table, valid: pa.Table | None = None, cases: pa.Table | None = None
) -> None:
    """Write a new folder.

    Raises:
        InputError: An event or a query names an item outside the catalog.
    """
    tables = {TRAIN: train.select(EVENTS.names).cast(EVENTS)}
    if valid is not None:
        tables[VALID] = valid.select(TARGETS.names).cast(TARGETS)
    if cases is not None:
        tables[CASES] = cases.select(QUERIES.names).cast(QUERIES)
    for name, table in tables.items():
        _check_items(table, name, config.num_items)

    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(config.model_dump_json(indent=1), encoding="utf-8")
    for name, table in tables.items():
        pq.write_table(table, folder / name)


def _check_items(table: pa.Table, name: str, num_items: int) -> None:
    items = table["item"] if name == TRAIN else pc.list_flatten(table["history"])
    limits = pc.min_max(items).as_py()
    if len(items) and not 0 <= limits["min"] <= limits["max"] < num_items:
        raise InputError(
            f"{name} has items from {limits['min']} to {limits['max']}; the catalog's are 0 to {num_items - 1}. "
            "Give item indices, or the catalog's real size as num_items."
        )


def outputs(folder: Path) -> Outputs:
    """Return a referee's vectors for `cases.parquet`, and its training record."""
    training = load_config(Training, folder / TRAINING)
    return Outputs(np.load(folder / USERS), np.load(folder / ITEMS), training)
