"""Vision: an item's image through a frozen vision model, combined with its content by a learned gate.

The images are encoded once, into vectors (`redrec.model.encoders.vectors`). The gate is that of NoteLLM-2
(arXiv:2405.16789): z = sigmoid(W [image; content]) and z * image + (1 - z) * content, coordinate by coordinate. An item
without an image keeps its content unchanged.

Shapes: M items, K items of a block, V vector of the vision model, E item vector.
"""

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from redrec.config import InputError
from redrec.data import columns as c
from redrec.model.encoders.config import VisionConfig
from redrec.model.encoders.content import EncodingProgress, num_items, rows_of
from redrec.model.encoders.language_model import explained_load_errors
from redrec.model.encoders.vectors import NUM_EXAMPLES, VectorBlock, VectorContent, store

logger = logging.getLogger(__name__)

IMAGES_PER_BATCH = 64


class GatedFusion(nn.Module):
    def __init__(self, image_dim: int, item_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(image_dim, item_dim)
        self.gate = nn.Linear(2 * item_dim, item_dim)

    def forward(self, content_ME: Tensor, image_MV: Tensor, has_image_M: Tensor) -> Tensor:
        """Return `fused_ME`."""
        image_ME = self.project(image_MV)
        gate_ME = torch.sigmoid(self.gate(torch.cat([image_ME, content_ME], dim=1)))
        return torch.where(has_image_M[:, None], gate_ME * image_ME + (1 - gate_ME) * content_ME, content_ME)


def write_images(items: Path, folder: Path, config: VisionConfig, trained: Path | None = None) -> VectorContent:
    """Encode the images of the catalog into `folder`; `trained` is that of the training if the items are new to it.

    Raises:
        InputError: There is no such model, an image is outside `root`, too many cannot be read, or no item has one.
    """
    source, is_new = f"the `{c.IMAGE}` column of {items.name}", trained is not None
    return store(folder, num_items(items), _encoded(items, config, is_new), source, trained)


def image_path(image: str, root: Path) -> Path:
    """Return the path of the image, given as a path or a file:// URI.

    >>> image_path("shoes/7.png", Path("/data/images"))
    PosixPath('/data/images/shoes/7.png')

    Raises:
        InputError: The path is outside `root`, or the URI is not of a file.
    """
    uri = urlsplit(image)
    path = root / (unquote(uri.path) if uri.scheme else image)
    if uri.scheme not in ("", "file") or not path.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"Image {image} is not under {root}. Allowed are paths and file:// URIs below it; "
            "copy the images there, or change item_tower.vision.root."
        )
    return path


def _encoded(items: Path, config: VisionConfig, is_new: bool) -> Iterator[VectorBlock]:
    """Yield the vectors of all images that can be read, batch by batch; a share of a few new ones says nothing."""
    encode, progress, num_named = _encoder(config), EncodingProgress(num_items(items)), 0
    unreadable: list[str] = []
    for named in _named(items, config.root):
        num_named += len(named)
        read = [(index, item_id, _read(path)) for index, item_id, path in named]
        unreadable += [item_id for _, item_id, image in read if image is None]
        images = [(index, image) for index, _, image in read if image is not None]
        if images:
            yield np.array([index for index, _ in images]), encode([image for _, image in images])
        progress.show(named[-1][0] + 1)
    logger.info(f"{len(unreadable):,} of {num_named:,} images cannot be read")
    if not is_new and len(unreadable) > config.max_unreadable_share * num_named:
        raise InputError(
            f"{len(unreadable):,} of {num_named:,} images cannot be read, allowed is a share of "
            f"{config.max_unreadable_share}; such as those of {', '.join(unreadable[:NUM_EXAMPLES])}. "
            "Mend them, or raise item_tower.vision.max_unreadable_share."
        )


def _named(items: Path, root: Path) -> Iterator[list[tuple[int, str, Path]]]:
    """Yield (item index, item id, path of its image) of the items that name one, in batches."""
    rows = enumerate(rows_of(items, [c.ITEM_ID, c.IMAGE]))
    named = ((index, row[c.ITEM_ID], image_path(row[c.IMAGE], root)) for index, row in rows if row.get(c.IMAGE))
    batch = list(islice(named, IMAGES_PER_BATCH))
    while batch:
        yield batch
        batch = list(islice(named, IMAGES_PER_BATCH))


def _read(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, Image.DecompressionBombError):
        return None


def _encoder(config: VisionConfig) -> Callable[[list[Image.Image]], NDArray[np.float32]]:
    """Return a function from images to vectors: the model's own pooled output, else the mean over its patches."""
    from transformers import AutoImageProcessor, AutoModel

    with explained_load_errors(config.model):
        processor, model = AutoImageProcessor.from_pretrained(config.model), AutoModel.from_pretrained(config.model)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vision = getattr(model, "vision_model", model).eval().to(device)  # a text-and-image model's image encoder

    @torch.inference_mode()
    def encode(images: list[Image.Image]) -> NDArray[np.float32]:
        out = vision(**processor(images=images, return_tensors="pt").to(device))
        pooled = out.pooler_output if out.get("pooler_output") is not None else out.last_hidden_state.mean(1)
        return pooled.float().cpu().numpy()

    return encode
