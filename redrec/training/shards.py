"""Shards: the items of a catalog that need an embedding, dealt out to several processes, which share no file.

Shard (index, count) has every count-th of these items. It writes one folder, which appears whole or not at all: after a
kill, a process embeds its own shard again, and no other. Vectors are .npy in half precision, as a model has them: a
merge reads rows of them memory-mapped, block by block.

Shapes: N items of the catalog, M of a shard, X coordinates.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from redrec.atomic import replaced_folder
from redrec.config import InputError, Record, load_config
from redrec.data import columns as c
from redrec.folders import ShardFolder, write_json
from redrec.history import Ints
from redrec.model.encoders.content import ROWS_PER_BLOCK

EMPTY_BYTES = 128  # of a .npy file without rows, which cannot be mapped
Embed = Callable[[Ints, ShardFolder], None]  # rows to embed, folder for their two arrays


class ShardManifest(Record):
    model_hash: str  # of the exported user tower
    items_hash: str  # of the item table
    index: NonNegativeInt
    count: PositiveInt

    def rows(self, embedded_M: Ints) -> Ints:
        """Return the rows of this shard among those of all shards."""
        return embedded_M[self.index :: self.count]


class Arrays(NamedTuple):
    """The sizes of the two arrays' rows."""

    item_vectors: int
    item_embeddings: int


def is_whole(folder: ShardFolder, manifest: ShardManifest) -> bool:
    return folder.manifest.is_file() and load_config(ShardManifest, folder.manifest) == manifest


def write_shard(out: Path, manifest: ShardManifest, ids: pa.Table, rows_M: Ints, sizes: Arrays, embed: Embed) -> None:
    """Embed the rows of a shard into the folder `out`; `ids` are those of the whole catalog.

    Raises:
        InputError: An item cannot be embedded; the message names the shard.
    """
    with replaced_folder(out) as fresh:
        folder = ShardFolder(fresh)
        try:
            if len(rows_M):
                embed(rows_M, folder)
            else:
                _write_empty(folder, sizes)
        except InputError as error:
            raise InputError(f"Shard {manifest.index} of {manifest.count}: {error}") from error
        pq.write_table(ids.take(rows_M), folder.item_ids)
        write_json(folder.manifest, manifest.model_dump(mode="json"))


def _write_empty(folder: ShardFolder, sizes: Arrays) -> None:
    for name, size in sizes._asdict().items():
        np.save(getattr(folder, name), np.empty((0, size), dtype=np.float16))


def checked_shards(
    shards: Sequence[Path], manifest: ShardManifest, ids: pa.Table, embedded_M: Ints, sizes: Arrays
) -> list[tuple[ShardFolder, Ints]]:
    """Return the shards and their rows, after a check that together they are those of `manifest`, all and whole.

    Raises:
        InputError: One is not finished, of another model or catalog, absent or given twice, or has other rows.
    """
    checked, indices = [], []
    for path in shards:
        folder = ShardFolder(path)
        stored = _manifest(folder, manifest, len(shards))
        rows_M = stored.rows(embedded_M)
        _check_arrays(folder, stored, ids.take(rows_M), sizes)
        checked.append((folder, rows_M))
        indices.append(stored.index)
    if sorted(indices) != list(range(len(shards))):
        raise InputError(
            f"The shards {', '.join(map(str, shards))} have the indices {indices}, and each of 0 .. {len(shards) - 1} "
            "is needed once. Give one folder for each index."
        )
    return checked


def _manifest(folder: ShardFolder, expected: ShardManifest, count: int) -> ShardManifest:
    if not folder.manifest.is_file():
        raise InputError(f"{folder.path} is no finished shard: it has no {folder.manifest.name}. Embed it again.")
    stored = load_config(ShardManifest, folder.manifest)
    for field, what in (("model_hash", "model"), ("items_hash", "catalog")):
        if getattr(stored, field) != getattr(expected, field):
            raise InputError(
                f"{folder.path}, shard {stored.index} of {stored.count}, is of another {what}. Remove it, and embed "
                f"the shard again for this {what}."
            )
    if stored.count != count:
        raise InputError(
            f"{folder.path} is shard {stored.index} of {stored.count}, and {count} are given. Give all shards of one "
            "count, or remove it and embed it again."
        )
    return stored


def _check_arrays(folder: ShardFolder, stored: ShardManifest, ids: pa.Table, sizes: Arrays) -> None:
    if pq.read_table(folder.item_ids)[c.ITEM_ID].to_pylist() != ids[c.ITEM_ID].to_pylist():
        raise InputError(_unfit(folder, stored, "has other items than the catalog gives it"))
    for name, size in sizes._asdict().items():
        values_MX = rows_in(getattr(folder, name))
        if values_MX.shape != (len(ids), size) or values_MX.dtype != np.float16:
            shown = f"{values_MX.dtype} of shape {values_MX.shape}"
            raise InputError(_unfit(folder, stored, f"has {name} of {shown}, not float16 of {(len(ids), size)}"))
        for start in range(0, len(ids), ROWS_PER_BLOCK):
            if not np.isfinite(values_MX[start : start + ROWS_PER_BLOCK]).all():
                raise InputError(_unfit(folder, stored, f"has {name} that are nan or infinite"))


def _unfit(folder: ShardFolder, stored: ShardManifest, what: str) -> str:
    return f"{folder.path}, shard {stored.index} of {stored.count}, {what}. Remove it, and embed the shard again."


def rows_in(path: Path) -> NDArray[np.float16]:
    """Return the array of a file, memory-mapped unless it is empty."""
    is_empty = path.stat().st_size <= EMPTY_BYTES
    values_MX: NDArray[np.float16] = np.load(path, mmap_mode=None if is_empty else "r")
    return values_MX
