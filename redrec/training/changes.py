"""Changes: which items of a catalog a model knows as they are, by their ids and a hash of what its item tower reads.

Shapes: N items of the catalog, M of them to embed.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.config import InputError, load_config
from redrec.data import columns as c
from redrec.folders import DataFolder, ModelFolder
from redrec.history import Ints
from redrec.model.config import ItemTowerConfig
from redrec.model.item_tower import HASH_BYTES, content_hashes
from redrec.training.recipe import Recipe

CONTENT_HASH = "content_hash"


class Changes(NamedTuple):
    """How a catalog differs from that of a training; an item that does not differ keeps its vectors."""

    known_N: Ints  # the item's row in the training, -1 if it is new
    is_kept_N: NDArray[np.bool_]
    num_withdrawn: int

    def to_embed(self) -> Ints:
        """Return the rows of the items that are new or have changed."""
        return np.flatnonzero(~self.is_kept_N)

    def counts(self) -> dict[str, int]:
        """Return how many items are embedded, and why; those that are withdrawn have left the catalog."""
        num_new = int((self.known_N < 0).sum())
        num_embedded = len(self.to_embed())
        return {
            "embedded_items": num_embedded,
            "new_items": num_new,
            "changed_items": num_embedded - num_new,
            "withdrawn_items": self.num_withdrawn,
        }


def write_known_items(items: Path, config: ItemTowerConfig, path: Path) -> None:
    """Write the items that a model was trained on, in the order of its vectors."""
    pq.write_table(_items(items, config), path)


def catalog_changes(model: Path, data: Path) -> Changes:
    """Compare the catalog of a data folder with the one that a model was trained on.

    Raises:
        InputError: The model does not say what it was trained on, or knows nothing of new items.
    """
    items, config, known = DataFolder(data).items, _config(model), _known_items(ModelFolder(model))
    now = _items(items, config)
    known_N = _known_rows(known, now, config, model, items)
    before = known[CONTENT_HASH].take(np.maximum(known_N, 0))
    is_equal_N = pc.equal(now[CONTENT_HASH], before).to_numpy()
    num_new = int((known_N < 0).sum())
    return Changes(known_N, (known_N >= 0) & is_equal_N, len(known) - len(known_N) + num_new)


def known_rows(model: Path, items: Path) -> Ints:
    """Return each item's row in the training of a model, -1 if it was not there, `known_N`.

    Raises:
        InputError: The model does not say what it was trained on, or knows nothing of new items.
    """
    now = pq.read_table(items, columns=[c.ITEM_ID])
    return _known_rows(_known_items(ModelFolder(model)), now, _config(model), model, items)


def _known_rows(known: pa.Table, now: pa.Table, config: ItemTowerConfig, model: Path, items: Path) -> Ints:
    known_N: Ints = pc.index_in(now[c.ITEM_ID], known[c.ITEM_ID].combine_chunks()).fill_null(-1).to_numpy()
    num_new = int((known_N < 0).sum())
    if num_new and config.num_id_buckets:
        raise InputError(
            f"{model} has learned a vector for each item id, and {num_new:,} items of {items} are new to it. "
            "Train again, without item_tower.num_id_buckets if new items are to be served between trainings."
        )
    return known_N


def _config(model: Path) -> ItemTowerConfig:
    return load_config(Recipe, ModelFolder(model).recipe).item_tower


def _items(items: Path, config: ItemTowerConfig) -> pa.Table:
    table = pq.read_table(items, columns=[c.ITEM_ID])
    hashes = pa.array(content_hashes(items, config), pa.binary(HASH_BYTES))
    return table.append_column(CONTENT_HASH, hashes)


def _known_items(old: ModelFolder) -> pa.Table:
    if not old.item_ids.is_file() or CONTENT_HASH not in pq.read_schema(old.item_ids).names:
        raise InputError(
            f"{old.path} does not say which items it knows and what it has read of them: it has no "
            f"{old.item_ids.name} with a column {CONTENT_HASH}. Train again."
        )
    return pq.read_table(old.item_ids, columns=[c.ITEM_ID, CONTENT_HASH])
