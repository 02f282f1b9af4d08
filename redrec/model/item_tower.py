"""Item tower: item text in, an item vector for the user tower and an embedding for the index out.

The shipped encoder needs no download: words and neighbouring word pairs of the text are hashed into buckets,
each bucket has a learned vector, and a small residual network mixes their scaled sum. It learns from the
interactions alone; an item that nobody has touched is placed by its words. A field may also be `item_id`: one
bucket of its own, which helps catalogs of near-identical titles and says nothing about new items.

Shapes: N items, T hashed tokens of all N items, E item vector, D embedding.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.config import Config

WORD = re.compile(r"\w+")
ROWS_PER_BLOCK = 8192

Field = Literal["title", "body", "tags", "category", "item_id"]


class ItemTowerConfig(Config):
    fields: tuple[Field, ...] = ("title", "body", "tags", "category")
    num_buckets: PositiveInt = 2**16
    max_tokens: PositiveInt = 64
    item_dim: PositiveInt = 64
    embedding_dim: PositiveInt = 64  # as in the paper


def tokens(fields: Iterable[tuple[str, str]], config: ItemTowerConfig) -> list[int]:
    """Return the buckets of one item's words and word pairs; categories, tags and ids are whole.

    >>> config = ItemTowerConfig(num_buckets=1000)
    >>> len(tokens([("title", "Green tea leaves")], config))
    5
    """
    features: list[str] = []
    for name, text in fields:
        words = WORD.findall(text.lower()) if name in ("title", "body") else [f"{name}={text}"]
        features += words + [f"{a} {b}" for a, b in pairwise(words)]
    return [zlib.crc32(feature.encode()) % config.num_buckets for feature in features[: config.max_tokens]]


class ItemTokens:
    """The hashed tokens of a catalog, memory-mapped: `tokens_T` and where each item's begin, `offsets_N1`."""

    def __init__(self, folder: Path) -> None:
        self.offsets_N1: NDArray[np.int64] = np.load(folder / "offsets.npy", mmap_mode="r")
        self.tokens_T: NDArray[np.int32] = np.memmap(folder / "tokens.bin", dtype=np.int32, mode="r")

    def __len__(self) -> int:
        return len(self.offsets_N1) - 1

    def of(self, items_M: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return the tokens of these items, one after the other, and where each begins."""
        starts_M, ends_M = self.offsets_N1[items_M], self.offsets_N1[items_M + 1]
        counts_M = ends_M - starts_M
        begins_M = np.cumsum(counts_M) - counts_M
        positions = np.arange(counts_M.sum()) + np.repeat(starts_M - begins_M, counts_M)
        return torch.from_numpy(self.tokens_T[positions].astype(np.int64)), torch.from_numpy(begins_M)


def tokenize_items(items: Path, folder: Path, config: ItemTowerConfig) -> ItemTokens:
    """Hash the catalog's text, block by block, into `folder`. An item without text gets one bucket for "no text"."""
    folder.mkdir(parents=True, exist_ok=True)
    no_text = zlib.crc32(b"") % config.num_buckets
    counts = [0]
    with open(folder / "tokens.bin", "wb") as out:
        for row in _rows(items, config):
            of_item = tokens(row, config) or [no_text]
            counts.append(len(of_item))
            out.write(np.array(of_item, dtype=np.int32).tobytes())
    np.save(folder / "offsets.npy", np.cumsum(counts, dtype=np.int64))
    return ItemTokens(folder)


def _rows(items: Path, config: ItemTowerConfig) -> Iterator[list[tuple[str, str]]]:
    """Yield each item's (field, text) pairs; a list of tags is one pair a tag, an absent text is none."""
    file = pq.ParquetFile(items)
    names = [name for name in config.fields if name in file.schema_arrow.names]
    for block in file.iter_batches(ROWS_PER_BLOCK, columns=names):
        for row in pa.Table.from_batches([block]).to_pylist():
            texts = [(name, row[name] if name == "tags" else [row[name]]) for name in names]
            yield [(name, text) for name, values in texts for text in values or [] if text]


class ItemTower(nn.Module):
    def __init__(self, config: ItemTowerConfig) -> None:
        super().__init__()
        item_dim = config.item_dim
        self.bags = nn.EmbeddingBag(config.num_buckets, item_dim, mode="sum")
        nn.init.normal_(self.bags.weight, std=item_dim**-0.5)
        self.mlp = nn.Sequential(
            nn.LayerNorm(item_dim), nn.Linear(item_dim, 2 * item_dim), nn.GELU(), nn.Linear(2 * item_dim, item_dim)
        )
        self.norm = nn.LayerNorm(item_dim)
        self.head = nn.Linear(item_dim, config.embedding_dim, bias=False)

    def forward(self, tokens_T: Tensor, begins_N: Tensor) -> Tensor:
        """Return the item vectors, `vectors_NE`; `begins_N` says where each item's tokens begin."""
        ends_N = F.pad(begins_N[1:], (0, 1), value=len(tokens_T))
        scale_N1 = (ends_N - begins_N).clamp(min=1).rsqrt()[:, None]
        bags_NE = self.bags(tokens_T, begins_N) * scale_N1
        return self.norm(bags_NE + self.mlp(bags_NE))

    def embed(self, vectors_NE: Tensor) -> Tensor:
        """Return the index embeddings, `embeddings_ND`, unit norm."""
        return F.normalize(self.head(vectors_NE), dim=-1)
