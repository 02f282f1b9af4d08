"""An encoder of a user's own: an item's content is the length of its title."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from redrec.model.encoders.config import EncoderConfig
from redrec.model.encoders.content import Content, blocks
from redrec.model.encoders.encoder import ItemEncoder


class TitleLengthConfig(EncoderConfig):
    kind: Literal["title_length"] = "title_length"
    scale: float = 0.1


class TitleLengths:
    def __init__(self, folder: Path) -> None:
        self.length_N = np.load(folder / "lengths.npy")

    def __len__(self) -> int:
        return len(self.length_N)

    def of(self, items_M: NDArray[np.int64]) -> dict[str, Tensor]:
        return {"length_M": torch.from_numpy(self.length_N[items_M])}


class TitleLengthEncoder(nn.Module):
    def __init__(self, config: TitleLengthConfig, item_dim: int) -> None:
        super().__init__()
        self.scale, self.linear = config.scale, nn.Linear(1, item_dim)

    def forward(self, length_M: Tensor) -> Tensor:
        content_ME: Tensor = self.linear(length_M[:, None] * self.scale)
        return content_ME


def _write(items: Path, folder: Path, config: TitleLengthConfig) -> TitleLengths:
    folder.mkdir(parents=True, exist_ok=True)
    lengths: list[int] = []
    for block in blocks(items, ["title"]):
        lengths += [len(row["title"]) for row in block]
    np.save(folder / "lengths.npy", np.array(lengths, dtype=np.float32))
    return TitleLengths(folder)


def _open(folder: Path, config: TitleLengthConfig) -> TitleLengths:
    return TitleLengths(folder)


def _make(config: TitleLengthConfig, content: Content, item_dim: int) -> TitleLengthEncoder:
    return TitleLengthEncoder(config, item_dim)


ENCODER = ItemEncoder(_write, _open, _make)
