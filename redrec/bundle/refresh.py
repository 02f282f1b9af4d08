"""Refresh: a bundle with new, changed and withdrawn items, made of the one before, without a training.

An item keeps its number, and never leaves the catalog: one that is withdrawn is shown in no scenario, and what users
did with it stays in their histories. Vectors are made of new items alone, and of those whose content has changed.

Shapes: N items before, T items given, M of them to embed, X coordinates.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.atomic import replaced_folder
from redrec.bundle.builder import complete
from redrec.bundle.reader import Bundle
from redrec.config import InputError, section
from redrec.data import columns as c
from redrec.data.histories import NEVER
from redrec.folders import BundleFolder, ShardFolder, TablesFolder
from redrec.history import Ints
from redrec.index.server import MilvusServer
from redrec.mapped import new_array
from redrec.model.config import ItemTowerConfig
from redrec.model.item_tower import content_hashes

ROWS_PER_BLOCK = 65_536
MAX_SHOWN = 5  # ids in an error
TEXT, TEXTS, TIME = pa.string(), pa.list_(pa.string()), pa.timestamp("us", tz="UTC")
TYPES = dict.fromkeys((c.TAGS, c.SCENARIOS), TEXTS) | dict.fromkeys(c.WINDOW_COLUMNS, TIME)  # of the others TEXT
ITEMS = pa.schema({name: TYPES.get(name, TEXT) for name in c.ITEM_COLUMNS})

Embed = Callable[[Path, Path], None]  # table of items, new folder for their two arrays, a `ShardFolder`


class Refreshed(NamedTuple):
    """How many items a refresh has changed; an item whose vectors stay may have another category or title."""

    new: int
    changed: int  # with vectors of their own content, as new ones
    kept: int  # of those given, with the vectors that they had
    withdrawn: int


def refresh_bundle(
    live: Bundle,
    items: pa.Table,
    withdrawn: Sequence[str],
    out: Path,
    embed: Embed,
    server: MilvusServer | None = None,
) -> Refreshed:
    """Write a verified bundle with the given items into `out`, which is replaced at the end.

    Args:
        live: The bundle before.
        items: New and changed items, in the columns of `redrec.data.item_table`, each once.
        withdrawn: Ids of items that may not be shown again, until they are given as items.
        out: Folder of the new bundle; it may be that of `live`.
        embed: Encodes a table of items as the bundle's model does.
        server: Milvus, if the bundle's index is there; the new bundle gets a collection of its own.

    Raises:
        InputError: An item to withdraw is unknown or given too, or the new index fails its checks.
    """
    given = Given.of(live, items, withdrawn)
    with replaced_folder(out) as new, TemporaryDirectory() as scratch:
        folder, vectors = BundleFolder(new), ShardFolder(Path(scratch))
        if len(given.embedded_M):
            table = TablesFolder(Path(scratch)).items
            pq.write_table(given.items.take(given.embedded_M), table)
            embed(table, vectors.path)
        _write(live, given, vectors, folder)
        complete(folder, live.manifest, live.manifest.index.config, server)
    return given.counts()


class Given(NamedTuple):
    """The rows of a refresh; those of withdrawn items come last."""

    items: pa.Table  # T rows
    number_T: Ints  # of each item in the new catalog
    embedded_M: Ints  # rows of `items`
    num_before: int
    num_withdrawn: int

    @classmethod
    def of(cls, live: Bundle, items: pa.Table, withdrawn: Sequence[str]) -> "Given":
        _check_withdrawn(live, items, withdrawn)
        known_T = np.array([live.item_index.get(item, -1) for item in items[c.ITEM_ID].to_pylist()], dtype=np.int64)
        is_new_T, num_before = known_T < 0, len(live.item_ids)
        number_T = np.where(is_new_T, num_before - 1 + np.cumsum(is_new_T), known_T)
        is_same_T = np.zeros(len(known_T), dtype=bool)
        is_same_T[~is_new_T] = _is_same(live, items.filter(~is_new_T), known_T[~is_new_T])
        gone_W = np.array([live.item_index[item] for item in withdrawn], dtype=np.int64)
        table = pa.concat_tables([_typed(items), _shown_nowhere(_typed(live.items.take(gone_W)))])
        numbers = np.concatenate([number_T, gone_W])
        return cls(table, numbers, np.flatnonzero(~is_same_T), num_before, len(gone_W))

    @property
    def num_items(self) -> int:
        return max(self.num_before, 1 + int(self.number_T.max(initial=-1)))

    def counts(self) -> Refreshed:
        num_new = self.num_items - self.num_before
        num_kept = len(self.items) - self.num_withdrawn - len(self.embedded_M)
        return Refreshed(num_new, len(self.embedded_M) - num_new, num_kept, self.num_withdrawn)


def _check_withdrawn(live: Bundle, items: pa.Table, withdrawn: Sequence[str]) -> None:
    unknown = [item for item in withdrawn if item not in live.item_index]
    if unknown:
        raise InputError(
            f"The catalog of bundle {live.manifest.id} has no item {', '.join(unknown[:MAX_SHOWN])}, so it cannot be "
            "withdrawn. Give ids as in the item table."
        )
    both = sorted(set(withdrawn) & set(items[c.ITEM_ID].to_pylist()))
    if both:
        raise InputError(f"Item {', '.join(both[:MAX_SHOWN])} is given and withdrawn at once. Choose one.")


def _is_same(live: Bundle, items: pa.Table, known_T: Ints) -> NDArray[np.bool_]:
    """Return whether the model would read of each item what it has read of it before."""
    config = section(live.manifest.config, "item_tower", ItemTowerConfig)
    with TemporaryDirectory() as scratch:
        path, hashes = TablesFolder(Path(scratch)).items, []
        for table in (live.items.take(known_T), items):
            pq.write_table(table, path)
            hashes.append(list(content_hashes(path, config)))
    return np.array([before == now for before, now in zip(*hashes, strict=True)], dtype=bool)


def _typed(items: pa.Table) -> pa.Table:
    """Return the table with types that all item tables can have; a column without nulls says so in a file's schema.

    The columns of windows that an older bundle lacks are null.
    """
    for name in c.WINDOW_COLUMNS:
        if name not in items.column_names:
            items = items.append_column(name, pa.nulls(len(items), TIME))
    return items.select(c.ITEM_COLUMNS).cast(ITEMS)


def _shown_nowhere(items: pa.Table) -> pa.Table:
    column = items.schema.get_field_index(c.SCENARIOS)
    return items.set_column(column, c.SCENARIOS, pa.array([[]] * len(items), pa.list_(pa.string())))


def _write(live: Bundle, given: Given, embedded: ShardFolder, folder: BundleFolder) -> None:
    """Write everything but the manifest."""
    rows_N = np.arange(given.num_items)
    rows_N[given.number_T] = given.num_before + np.arange(len(given.items))
    pq.write_table(pa.concat_tables([_typed(live.items), given.items]).take(rows_N), folder.items)
    for name, before_NX in (("item_vectors", live.vectors_NE), ("item_embeddings", live.embeddings_ND)):
        _write_array(getattr(folder, name), before_NX, given, getattr(embedded, name))
    first_ms_N = np.full(given.num_items, NEVER)
    first_ms_N[: given.num_before] = live.ranker.first_ms_N
    live.ranker._replace(first_ms_N=first_ms_N).save(folder.ranker)
    shutil.copyfile(live.folder.tower, folder.tower)
    shutil.copyfile(live.folder.fallback, folder.fallback)  # of these, serving leaves out what a scenario may not show


def _write_array(path: Path, before_NX: NDArray[np.float16], given: Given, embedded: Path) -> None:
    """Write the rows that stay, block by block, and those that were embedded."""
    shape = given.num_items, before_NX.shape[1]
    after_NX = new_array(path, before_NX.dtype, shape)
    for start in range(0, len(before_NX), ROWS_PER_BLOCK):
        block = slice(start, min(start + ROWS_PER_BLOCK, len(before_NX)))
        after_NX[block] = before_NX[block]
    if len(given.embedded_M):
        after_NX[given.number_T[given.embedded_M]] = np.load(embedded, mmap_mode="r")
    after_NX.flush()
