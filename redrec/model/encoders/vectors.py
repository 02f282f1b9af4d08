"""Vectors: items described by vectors that do not learn, from a file or from a frozen model.

They are stored memory-mapped in half precision. They are centred on the catalog's mean, since most models' vectors have
a large common component, and scaled to a mean square of one per coordinate, so that one learning rate fits all models.
An item without a vector has zeros in the file and a learned vector in the tower.

Shapes: N items of the catalog, M items of a call, K items of a block, V size of the vectors, E item vector.
"""

import logging
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from redrec.config import InputError
from redrec.data import columns as c
from redrec.mapped import new_array
from redrec.model.encoders.config import VectorsConfig
from redrec.model.encoders.content import ROWS_PER_BLOCK, Content, blocks, num_items
from redrec.model.encoders.encoder import ItemEncoder

logger = logging.getLogger(__name__)

NUM_EXAMPLES = 3
STANDARD = "standard.npz"
VectorBlock = tuple[NDArray[np.int64], NDArray]  # item indices and their vectors


class Standard(NamedTuple):
    """What is subtracted from the vectors of a catalog, and what the rest is multiplied by."""

    mean_V: NDArray[np.float64]
    scale: NDArray[np.float64]


class VectorContent:
    """`vectors_NV`, and whether an item has a vector, `is_present_N`."""

    def __init__(self, folder: Path) -> None:
        self.vectors_NV: NDArray[np.float16] = np.load(folder / "vectors.npy", mmap_mode="r")
        self.is_present_N: NDArray[np.bool_] = np.load(folder / "is_present.npy")

    def __len__(self) -> int:
        return len(self.vectors_NV)

    def of(self, items_M: NDArray[np.int64]) -> dict[str, Tensor]:
        vectors_MV = torch.from_numpy(self.vectors_NV[items_M].astype(np.float32))
        return {"vectors_MV": vectors_MV, "is_present_M": torch.from_numpy(self.is_present_N[items_M])}


class Projection(nn.Module):
    """Vectors in, content out; an item without a vector gets the learned `absent_E`."""

    def __init__(self, vector_dim: int, item_dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(vector_dim, item_dim)
        self.absent_E = nn.Parameter(torch.zeros(item_dim))

    def forward(self, vectors_MV: Tensor, is_present_M: Tensor) -> Tensor:
        """Return `content_ME`."""
        return torch.where(is_present_M[:, None], self.linear(self.dropout(vectors_MV)), self.absent_E)


def write_vectors(items: Path, folder: Path, config: VectorsConfig) -> VectorContent:
    """Align the vectors of a file to the catalog and write them into `folder`.

    Raises:
        InputError: The file does not fit the configuration, has no vector for too many items, or one for all.
    """
    content = store(folder, num_items(items), _file_blocks(items, config), str(config.path))
    require_enough(content.is_present_N, items, config.max_absent_share, f"vector in {config.path}")
    require_distinct(content, str(config.path))
    return content


def write_new(items: Path, folder: Path, config: VectorsConfig, trained: Path) -> VectorContent:
    """Write the vectors of items that a training did not have, standardised as those that it had."""
    content = store(folder, num_items(items), _file_blocks(items, config), str(config.path), trained)
    logger.info(f"{(~content.is_present_N).sum():,} of {len(content):,} new items have no vector in {config.path}")
    return content


def _readings(items: Path, config: VectorsConfig) -> list[bytes]:
    """Return a digest of each item's vector; an item without one has none."""
    digests = [b""] * num_items(items)
    for index_K, vectors_KV in _file_blocks(items, config):
        for index, vector_V in zip(index_K, np.asarray(vectors_KV, dtype=np.float32), strict=True):
            digests[index] = blake2b(vector_V.tobytes(), digest_size=16).digest()
    return digests


def _file_blocks(items: Path, config: VectorsConfig) -> Iterator[VectorBlock]:
    if not config.path.is_file():
        raise InputError(f"Item vectors {config.path} do not exist. Give a Parquet or .npy file in encoder.path.")
    read = _npy_blocks if config.path.suffix == ".npy" else _parquet_blocks
    return read(items, config)


def store(
    folder: Path, num_items: int, vector_blocks: Iterable[VectorBlock], source: str, trained: Path | None = None
) -> VectorContent:
    """Write blocks of vectors, in any order, then centre and scale all, as in `trained` if the items are new to it.

    Raises:
        InputError: There is no vector at all, a value is not finite in half precision, an item has two vectors, or
            they are not of the size of those in `trained`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    is_present_N = np.zeros(num_items, dtype=bool)
    vectors_NV, num_present = None, 0
    sum_V: NDArray[np.float64] = np.zeros(1)
    for index_K, vectors_KV in vector_blocks:
        if vectors_NV is None:
            vectors_NV = _empty(folder, num_items, vectors_KV.shape[1])
        with np.errstate(over="ignore"):  # values beyond half precision become infinite and are refused below
            vectors_NV[index_K] = vectors_KV
        if not np.isfinite(vectors_NV[index_K]).all():
            raise InputError(f"{source} holds values that are nan, infinite or beyond ±65504. Mend or rescale them.")
        is_present_N[index_K] = True
        num_present += len(index_K)
        sum_V = sum_V + vectors_KV.sum(0, dtype=np.float64)
    if num_present > is_present_N.sum():
        num_repeated = num_present - int(is_present_N.sum())
        raise InputError(f"{source} gives {num_repeated:,} items a second vector. Keep one row per item_id.")
    if trained is not None:
        standard = _trained_standard(trained, vectors_NV, source)
        vectors_NV = _empty(folder, num_items, len(standard.mean_V)) if vectors_NV is None else vectors_NV
    elif vectors_NV is not None and num_present:
        standard = _standard(vectors_NV, is_present_N, sum_V / num_present)
    else:
        raise InputError(f"{source} gives no vector for any of the {num_items:,} items. Check that the item ids agree.")
    _standardise(vectors_NV, is_present_N, standard)
    np.savez(folder / STANDARD, **standard._asdict())
    np.save(folder / "is_present.npy", is_present_N)
    return VectorContent(folder)


def _empty(folder: Path, num_items: int, vector_dim: int) -> np.memmap:
    path = folder / "vectors.npy"
    return new_array(path, np.float16, (num_items, vector_dim))


def _trained_standard(trained: Path, vectors_NV: np.memmap | None, source: str) -> Standard:
    with np.load(trained / STANDARD) as saved:
        standard = Standard(**saved)
    if vectors_NV is not None and vectors_NV.shape[1] != len(standard.mean_V):
        raise InputError(
            f"{source} gives vectors of {vectors_NV.shape[1]} coordinates, and the model was trained on "
            f"{len(standard.mean_V)}. Give vectors of the same encoder, or train again."
        )
    return standard


def _blocks_of(is_present_N: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the indices of the items with a vector, block by block."""
    present = np.flatnonzero(is_present_N)
    return [present[start : start + ROWS_PER_BLOCK] for start in range(0, len(present), ROWS_PER_BLOCK)]


def _standard(vectors_NV: np.memmap, is_present_N: NDArray[np.bool_], mean_V: NDArray[np.float64]) -> Standard:
    """Return the scale with which the centred vectors have a mean square of one per coordinate."""
    squares = (float(np.square(vectors_NV[index_K] - mean_V).sum()) for index_K in _blocks_of(is_present_N))
    square = sum(squares) / (is_present_N.sum() * len(mean_V))
    return Standard(mean_V, np.array(square**-0.5 if square else 1.0))


def _standardise(vectors_NV: np.memmap, is_present_N: NDArray[np.bool_], standard: Standard) -> None:
    """Centre and scale the vectors in place."""
    for index_K in _blocks_of(is_present_N):
        vectors_NV[index_K] = (vectors_NV[index_K] - standard.mean_V) * standard.scale
    vectors_NV.flush()


def require_enough(is_present_N: NDArray[np.bool_], items: Path, max_absent_share: float, what: str) -> None:
    """Log how many items lack `what`.

    Raises:
        InputError: Their share is above `max_absent_share`; the message names examples.
    """
    num_absent, num_all = int((~is_present_N).sum()), len(is_present_N)
    logger.info(f"{num_absent:,} of {num_all:,} items have no {what}")
    if num_absent > max_absent_share * num_all:
        raise InputError(
            f"{num_absent:,} of {num_all:,} items have no {what}, allowed is a share of {max_absent_share}; "
            f"such as {', '.join(_examples(is_present_N, items))}. Add the missing ones, or raise max_absent_share."
        )


def require_distinct(content: VectorContent, source: str) -> None:
    """Check that not all vectors are equal.

    Raises:
        InputError: They are, and there are several.
    """
    index_blocks = _blocks_of(content.is_present_N)
    first_V, num_present = content.vectors_NV[index_blocks[0][0]], content.is_present_N.sum()
    is_distinct = any((content.vectors_NV[index_K] != first_V).any() for index_K in index_blocks)
    if num_present > 1 and not is_distinct:
        raise InputError(
            f"{source} gives the same vector for all of {num_present:,} items, so a model cannot distinguish them. "
            "Give vectors that differ, or choose the encoder `hashed`, which then learns the items' ids."
        )


def _examples(is_present_N: NDArray[np.bool_], items: Path) -> list[str]:
    ids = pq.read_table(items, columns=[c.ITEM_ID])[c.ITEM_ID]
    return ids.take(np.flatnonzero(~is_present_N)[:NUM_EXAMPLES]).to_pylist()


class _ItemIndex:
    """Looks up items by id; holds the ids and their order, not the catalog."""

    def __init__(self, items: Path) -> None:
        self.ids_N = np.concatenate([_ids(block) for block in blocks(items, [c.ITEM_ID])])
        self.order_N = np.argsort(self.ids_N)

    def find(self, ids: list[str]) -> NDArray[np.int64]:
        """Return each id's item index, -1 if the catalog has no such item."""
        ids_K = np.array(ids, "S")
        position_K = np.searchsorted(self.ids_N, ids_K, sorter=self.order_N)
        index_K = self.order_N[np.minimum(position_K, len(self.order_N) - 1)]
        return np.where(self.ids_N[index_K] == ids_K, index_K, -1)


def _ids(block: list[dict[str, Any]]) -> NDArray[np.bytes_]:
    return np.array([row[c.ITEM_ID] for row in block], "S")


def _parquet_blocks(items: Path, config: VectorsConfig) -> Iterator[VectorBlock]:
    file, index = pq.ParquetFile(config.path), _ItemIndex(items)
    missing = {c.ITEM_ID, config.column} - set(file.schema_arrow.names)
    if missing:
        raise InputError(
            f"{config.path} has no column {', '.join(sorted(missing))}; it has {', '.join(file.schema_arrow.names)}. "
            "Name the column of the vectors in encoder.column."
        )
    for block in file.iter_batches(ROWS_PER_BLOCK, columns=[c.ITEM_ID, config.column]):
        vectors = block[config.column]
        block = block.filter(pc.is_valid(vectors))
        index_K = index.find(block[c.ITEM_ID].to_pylist())
        vectors_KV = _rectangular(block[config.column], config)
        yield index_K[index_K >= 0], vectors_KV[index_K >= 0]


def _rectangular(vectors: pa.Array, config: VectorsConfig) -> NDArray[np.float32]:
    lengths = pc.unique(pc.list_value_length(vectors)).to_pylist()
    if len(lengths) > 1:
        raise InputError(f"{config.path}: {config.column} has vectors of sizes {lengths}. Give vectors of one size.")
    values = pc.list_flatten(vectors).to_numpy(zero_copy_only=False).astype(np.float32)
    return values.reshape(len(vectors), -1) if lengths else values.reshape(0, 1)


def _npy_blocks(items: Path, config: VectorsConfig) -> Iterator[VectorBlock]:
    vectors_NV = np.load(config.path, mmap_mode="r")
    index_N = _rows_of(items, config, vectors_NV.shape)
    for start in range(0, len(index_N), ROWS_PER_BLOCK):
        index_K = index_N[start : start + ROWS_PER_BLOCK]
        vectors_KV = np.asarray(vectors_NV[start : start + ROWS_PER_BLOCK], dtype=np.float32)
        yield index_K[index_K >= 0], vectors_KV[index_K >= 0]


def _rows_of(items: Path, config: VectorsConfig, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the item index of each row of a .npy file."""
    ids = config.ids.read_text(encoding="utf-8").split() if config.ids else None
    num_rows = num_items(items) if ids is None else len(ids)
    if len(shape) != 2 or shape[0] != num_rows:
        raise InputError(
            f"{config.path} has shape {shape}, but needs one row for each of the {num_rows:,} "
            f"{'items of items.parquet' if ids is None else f'ids in {config.ids}'}. "
            "Name the rows' item ids in encoder.ids, one per line."
        )
    return np.arange(num_rows) if ids is None else _ItemIndex(items).find(ids)


def _open(folder: Path, config: VectorsConfig) -> VectorContent:
    return VectorContent(folder)


def make_projection(content: Content, item_dim: int, dropout: float) -> Projection:
    """Return the module that reads `content`, which is a `VectorContent`."""
    assert isinstance(content, VectorContent)
    return Projection(content.vectors_NV.shape[1], item_dim, dropout)


def _make(config: VectorsConfig, content: Content, item_dim: int) -> Projection:
    return make_projection(content, item_dim, config.dropout)


def _sources(config: VectorsConfig) -> list[Path]:
    return [path for path in (config.path, config.ids) if path]


ENCODER = ItemEncoder(write_vectors, _open, _make, _sources, _readings, write_new)
