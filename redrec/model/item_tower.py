"""Item tower: item content in, an item vector for the user tower and an embedding for the index out.

An encoder (`redrec.model.encoders`) turns an item's content into its vector. Where the same items are met again and
again and ids help, each item also has a learned vector of its own that is added; such a model knows little of new
items, so ids stay off wherever cold start is claimed.

Shapes: N items of the catalog, M items asked for, E item vector, D embedding.
"""

import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.config import Config
from redrec.data import columns as c
from redrec.model.encoders import EncoderConfig, HashedConfig, make_encoder, open_content, write_content
from redrec.model.encoders.content import blocks, num_items

IDS = "ids.npy"


class ItemTowerConfig(Config):
    encoder: EncoderConfig = HashedConfig()
    num_id_buckets: PositiveInt | None = None  # absent: no id embedding; at least the catalog's size: no collisions
    item_dim: PositiveInt = 64
    embedding_dim: PositiveInt = 64  # as in the paper


class ItemContent:
    """All that the tower reads of each item: the encoder's content, and its id's bucket where ids are used."""

    def __init__(self, folder: Path, config: ItemTowerConfig) -> None:
        self.encoded = open_content(folder / "encoder", config.encoder)
        self.id_N: NDArray[np.int64] | None = np.load(folder / IDS, mmap_mode="r") if config.num_id_buckets else None

    def __len__(self) -> int:
        return len(self.encoded)

    def of(self, items_M: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return the tower's inputs for these items, by name."""
        inputs = self.encoded.of(items_M)
        if self.id_N is not None:
            inputs["id_M"] = torch.from_numpy(self.id_N[items_M])
        return inputs


def write_item_content(items: Path, folder: Path, config: ItemTowerConfig) -> ItemContent:
    """Write what the tower reads of each item, in the order of `items`, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_content(items, folder / "encoder", config.encoder)
    if config.num_id_buckets:
        np.save(folder / IDS, _id_buckets(items, config.num_id_buckets))
    return ItemContent(folder, config)


def _id_buckets(items: Path, num_buckets: int) -> NDArray[np.int64]:
    """Return `id_N`: the item index where each item can have a bucket of its own, else a hash of its id."""
    if num_buckets >= num_items(items):
        return np.arange(num_items(items))
    ids = (row[c.ITEM_ID] for block in blocks(items, [c.ITEM_ID]) for row in block)
    return np.fromiter((zlib.crc32(item_id.encode()) % num_buckets for item_id in ids), dtype=np.int64)


class ItemTower(nn.Module):
    def __init__(self, config: ItemTowerConfig, content: ItemContent) -> None:
        super().__init__()
        self.encoder = make_encoder(config.encoder, content.encoded, config.item_dim)
        self.ids = nn.Embedding(config.num_id_buckets, config.item_dim) if config.num_id_buckets else None
        if self.ids is not None:
            nn.init.normal_(self.ids.weight, std=config.item_dim**-0.5)
        self.head = nn.Linear(config.item_dim, config.embedding_dim, bias=False)

    def forward(self, id_M: Tensor | None = None, **content: Tensor) -> Tensor:
        """Return the item vectors, `vectors_ME`."""
        vectors_ME = self.encoder(**content)
        return vectors_ME if self.ids is None else vectors_ME + self.ids(id_M)

    def embed(self, vectors_ME: Tensor) -> Tensor:
        """Return the index embeddings, `embeddings_MD`, unit norm."""
        return F.normalize(self.head(vectors_ME), dim=-1)
