"""Content: an encoder's input for each item, written once and memory-mapped.

The catalog is never loaded whole: it is read block by block, and a training step reads only the rows that it needs.

Shapes: N items of the catalog, M items of a call, T tokens of all items of the catalog or the call.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

logger = logging.getLogger(__name__)

ROWS_PER_BLOCK = 8192
ITEMS_PER_WINDOW, ITEMS_PER_BLOCK = 65_536, 1024  # sorted by length at a time, and encoded at a time
SECONDS_PER_LINE = 30


class Content(Protocol):
    """The content of any encoder: the number of items, and the encoder's inputs by name."""

    def __len__(self) -> int: ...

    def of(self, items_M: NDArray[np.int64]) -> dict[str, Tensor]: ...


class TokenContent:
    """Any number of tokens per item: `tokens_T` of the catalog and the offset of each item's first, `offsets_N1`."""

    def __init__(self, folder: Path) -> None:
        self.offsets_N1: NDArray[np.int64] = np.load(folder / "offsets.npy", mmap_mode="r")
        has_tokens = self.offsets_N1[-1] > 0  # an empty file cannot be mapped
        path = folder / "tokens.bin"
        self.tokens_T = np.memmap(path, dtype=np.int32, mode="r") if has_tokens else np.empty(0, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.offsets_N1) - 1

    def lengths(self, items_M: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.offsets_N1[items_M + 1] - self.offsets_N1[items_M]

    def of(self, items_M: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return the tokens of these items, one after the other, and the offset of each item's first, `begins_M`."""
        starts_M, counts_M = self.offsets_N1[items_M], self.lengths(items_M)
        begins_M = np.cumsum(counts_M) - counts_M
        positions = np.arange(counts_M.sum()) + np.repeat(starts_M - begins_M, counts_M)
        tokens_T = self.tokens_T[positions].astype(np.int64)
        return {"tokens_T": torch.from_numpy(tokens_T), "begins_M": torch.from_numpy(begins_M)}


def write_tokens(folder: Path, tokens: Iterable[list[int]]) -> TokenContent:
    """Write each item's tokens, in the order of the catalog, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = [0]
    with open(folder / "tokens.bin", "wb") as out:
        for of_item in tokens:
            counts.append(len(of_item))
            out.write(np.array(of_item, dtype=np.int32).tobytes())
    np.save(folder / "offsets.npy", np.cumsum(counts, dtype=np.int64))
    return TokenContent(folder)


def num_items(items: Path) -> int:
    return pq.ParquetFile(items).metadata.num_rows


def blocks(table: Path, names: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a Parquet table, block by block; a column that the table lacks is absent from the rows."""
    file = pq.ParquetFile(table)
    known = [name for name in names if name in file.schema_arrow.names]
    for block in file.iter_batches(ROWS_PER_BLOCK, columns=known):
        yield pa.Table.from_batches([block]).to_pylist()


def rows_of(table: Path, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet table one by one, as `blocks` does block by block."""
    for block in blocks(table, names):
        yield from block


def encoding_blocks(content: Content) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of all items in blocks of texts of similar length, so that a batch of a block has no padding.

    Within a window the longest are first. In memory are a window's lengths, and a block's inputs and vectors.
    """
    for start in range(0, len(content), ITEMS_PER_WINDOW):
        window = np.arange(start, min(start + ITEMS_PER_WINDOW, len(content)))
        if isinstance(content, TokenContent):
            window = window[np.argsort(-content.lengths(window), kind="stable")]
        for first in range(0, len(window), ITEMS_PER_BLOCK):
            yield window[first : first + ITEMS_PER_BLOCK]


class EncodingProgress:
    """Logs now and then how many items are encoded, and how long the rest will take."""

    def __init__(self, num_items: int) -> None:
        self.num_items, self.began, self.shown = num_items, time.monotonic(), time.monotonic()

    def show(self, num_done: int) -> None:
        now = time.monotonic()
        if now - self.shown < SECONDS_PER_LINE and num_done < self.num_items:
            return
        self.shown, items_per_s = now, num_done / max(1e-9, now - self.began)
        logger.info(
            f"encoded {num_done:,}/{self.num_items:,} items | {items_per_s:.0f} items/s | "
            f"eta {(self.num_items - num_done) / items_per_s:.0f} s"
        )
