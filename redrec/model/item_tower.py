"""Item tower: item content in, an item vector for the user tower and an embedding for the index out.

An encoder (`redrec.model.encoders`) turns an item's text into its content vector; if items have images, a gate combines
the two. Optionally a learned vector per item id is added, for data in which users come back to the same items. Such a
model knows little about new items, so ids are off wherever we claim cold start.

Shapes: N items of the catalog, M items of a call, V vector of a vision model, E item vector, D embedding.
"""

import json
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.atomic import replaced_folder
from redrec.data import columns as c
from redrec.hashing import file_hash
from redrec.model.config import ItemTowerConfig
from redrec.model.encoders.content import num_items, rows_of
from redrec.model.encoders.registry import (
    make_encoder,
    open_content,
    readings,
    sources,
    write_content,
    write_new_content,
)
from redrec.model.encoders.vectors import VectorContent
from redrec.model.encoders.vision import GatedFusion, write_images
from redrec.model.parameter_groups import TABLE

MADE_OF, IDS, ENCODED, IMAGES = "made_of.json", "ids.npy", "encoded", "images"
HASH_BYTES = 16


class ItemContent:
    """The tower's input for each item: the encoder's content, the image's vector, the id's bucket."""

    def __init__(self, folder: Path, config: ItemTowerConfig) -> None:
        self.encoded = open_content(folder / ENCODED, config.encoder)
        self.images = VectorContent(folder / IMAGES) if config.vision else None
        self.id_N: NDArray[np.int64] | None = np.load(folder / IDS, mmap_mode="r") if config.num_id_buckets else None

    def __len__(self) -> int:
        return len(self.encoded)

    def of(self, items_M: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return the tower's inputs for these items, by name."""
        inputs = self.encoded.of(items_M)
        if self.images is not None:
            image = self.images.of(items_M)
            inputs |= {"image_MV": image["vectors_MV"], "has_image_M": image["is_present_M"]}
        if self.id_N is not None:
            inputs["id_M"] = torch.from_numpy(self.id_N[items_M])
        return inputs


def write_item_content(items: Path, folder: Path, config: ItemTowerConfig) -> ItemContent:
    """Write the tower's input for each item, in the order of `items`, into `folder`.

    Existing content is kept if it was made from the same table, model files and configuration, since a large model
    needs hours to encode a catalog. Image files are not compared.

    Raises:
        InputError: A file or model that `config` names is absent or unfit.
    """
    made_of = _fingerprint(items, config)
    if not (folder / MADE_OF).is_file() or json.loads((folder / MADE_OF).read_text()) != made_of:
        with replaced_folder(folder) as fresh:
            write_content(items, fresh / ENCODED, config.encoder)
            if config.vision:
                write_images(items, fresh / IMAGES, config.vision)
            if config.num_id_buckets:
                np.save(fresh / IDS, _id_buckets(items, config.num_id_buckets))
            (fresh / MADE_OF).write_text(json.dumps(made_of))
    return ItemContent(folder, config)


def write_new_item_content(
    items: Path, folder: Path, config: ItemTowerConfig, trained: Path, known_M: NDArray[np.int64]
) -> ItemContent:
    """Write the tower's input for items that a training did not have as they are now.

    Args:
        items: Table of these items alone.
        folder: New folder.
        config: That of the training.
        trained: Content folder of the training.
        known_M: Each item's row in the training, which gives its learned id; unused where ids are not learned.

    Raises:
        InputError: A file or model that `config` names is absent or unfit.
    """
    write_new_content(items, folder / ENCODED, config.encoder, trained / ENCODED)
    if config.vision:
        write_images(items, folder / IMAGES, config.vision, trained / IMAGES)
    if config.num_id_buckets:
        np.save(folder / IDS, np.load(trained / IDS, mmap_mode="r")[known_M])
    return ItemContent(folder, config)


def content_hashes(items: Path, config: ItemTowerConfig) -> Iterator[bytes]:
    """Yield a hash of what the tower reads of each item: the encoder's text or vector, the reference to its image."""
    images = (repr(row.get(c.IMAGE)) if config.vision else "" for row in rows_of(items, [c.ITEM_ID, c.IMAGE]))
    for reading, image in zip(readings(items, config.encoder), images, strict=True):
        content = reading if isinstance(reading, bytes) else reading.encode()
        yield blake2b(image.encode() + b"\0" + content, digest_size=HASH_BYTES).digest()


def _fingerprint(items: Path, config: ItemTowerConfig) -> dict[str, str]:
    """Return the configuration and a digest of every file that the content is made from."""
    paths = [items, *sources(config.encoder), *([Path(config.vision.model)] if config.vision else [])]
    files: list[Path] = []
    for path in paths:
        files += [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
    return {**{str(file): file_hash(file) for file in files}, "config": config.model_dump_json()}


def _id_buckets(items: Path, num_buckets: int) -> NDArray[np.int64]:
    """Return `id_N`: the item index if there is a bucket for each item, else a hash of the item id."""
    if num_buckets >= num_items(items):
        return np.arange(num_items(items))
    rows = rows_of(items, [c.ITEM_ID])
    return np.fromiter((zlib.crc32(row[c.ITEM_ID].encode()) % num_buckets for row in rows), dtype=np.int64)


class ItemTower(nn.Module):
    def __init__(self, config: ItemTowerConfig, content: ItemContent) -> None:
        super().__init__()
        item_dim = config.item_dim
        self.encoder = make_encoder(config.encoder, content.encoded, item_dim)
        self.fusion = GatedFusion(content.images.vectors_NV.shape[1], item_dim) if content.images is not None else None
        num_ids = min(config.num_id_buckets or 0, len(content))
        self.ids = nn.Embedding(num_ids, item_dim) if num_ids else None
        if self.ids is not None:
            self.ids.parameter_group = TABLE
            nn.init.normal_(self.ids.weight, std=item_dim**-0.5)
        self.head = nn.Linear(item_dim, config.embedding_dim, bias=False)

    def forward(self, **inputs: Tensor) -> Tensor:
        """Return the item vectors, `vectors_ME`; `inputs` are those of `ItemContent.of(items_M)`."""
        image = [inputs.pop(name) for name in ("image_MV", "has_image_M")] if self.fusion is not None else []
        id_M = inputs.pop("id_M") if self.ids is not None else None
        vectors_ME = self.encoder(**inputs)
        if self.fusion is not None:
            vectors_ME = self.fusion(vectors_ME, *image)
        return vectors_ME if self.ids is None else vectors_ME + self.ids(id_M)

    def embed(self, vectors_ME: Tensor) -> Tensor:
        """Return the index embeddings, `embeddings_MD`, unit norm."""
        return F.normalize(self.head(vectors_ME), dim=-1)
