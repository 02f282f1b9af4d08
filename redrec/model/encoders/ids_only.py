"""Ids only: no content at all, for models that have only an embedding per item id, such as SASRec."""

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from redrec.model.encoders.config import IdsOnlyConfig
from redrec.model.encoders.content import Content, num_items
from redrec.model.encoders.encoder import ItemEncoder

COUNT = "num_items.txt"


class NoContent:
    def __init__(self, folder: Path) -> None:
        self.num_items = int((folder / COUNT).read_text())

    def __len__(self) -> int:
        return self.num_items

    def of(self, items_M: NDArray[np.int64]) -> dict[str, Tensor]:
        return {}


def write_no_content(items: Path, folder: Path, config: IdsOnlyConfig) -> NoContent:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / COUNT).write_text(str(num_items(items)))
    return NoContent(folder)


def _open(folder: Path, config: IdsOnlyConfig) -> NoContent:
    return NoContent(folder)


class NoEncoder(nn.Module):
    def forward(self) -> Tensor:
        """Return zero: the item vector is the id embedding alone."""
        return torch.zeros(())


def _make(config: IdsOnlyConfig, content: Content, item_dim: int) -> NoEncoder:
    return NoEncoder()


def _readings(items: Path, config: IdsOnlyConfig) -> Iterator[str]:
    return repeat("", num_items(items))


ENCODER = ItemEncoder(write_no_content, _open, _make, readings=_readings)
