"""Hashed: the default text encoder, which needs no download and no other model.

Words and neighbouring word pairs of the text are hashed into buckets, each bucket has a learned vector, and a small
residual network transforms their scaled sum. It learns from the interactions alone; a new item gets its vector from its
words. A field may also be `item_id`, which is one more bucket per item. That helps if many titles are nearly identical,
and does not help new items.

Shapes: M items, T hashed tokens of all M items, E item vector.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.model.encoders.content import Content, TokenContent, rows_of, write_tokens
from redrec.model.encoders.encoder import EncoderConfig, ItemEncoder
from redrec.model.parameter_groups import TABLE

WORD = re.compile(r"\w+")


class HashedConfig(EncoderConfig):
    kind: Literal["hashed"] = "hashed"
    fields: tuple[Literal["title", "body", "tags", "category", "item_id"], ...] = ("title", "body", "tags", "category")
    num_buckets: PositiveInt = 2**16
    max_tokens: PositiveInt = 64


def hashed_tokens(fields: Iterable[tuple[str, str]], config: HashedConfig) -> list[int]:
    """Return the buckets of one item's words and word pairs; categories, tags and ids are not split into words.

    >>> config = HashedConfig(num_buckets=1000)
    >>> len(hashed_tokens([("title", "Green tea leaves")], config))
    5
    """
    features: list[str] = []
    for name, text in fields:
        words = WORD.findall(text.lower()) if name in ("title", "body") else [f"{name}={text}"]
        features += words + [f"{a} {b}" for a, b in pairwise(words)]
    return [zlib.crc32(feature.encode()) % config.num_buckets for feature in features[: config.max_tokens]]


def write_hashed(items: Path, folder: Path, config: HashedConfig) -> TokenContent:
    """Hash the catalog's text into `folder`. An item without text gets one bucket for "no text"."""
    no_text = [zlib.crc32(b"") % config.num_buckets]
    rows = rows_of(items, config.fields)
    return write_tokens(folder, (hashed_tokens(_pairs(row), config) or no_text for row in rows))


def _pairs(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield one item's (field, text) pairs: one for each tag, none for an absent text."""
    for name, value in row.items():
        texts = value or [] if name == "tags" else [value]
        for text in texts:
            if text:
                yield name, text


class HashedEncoder(nn.Module):
    def __init__(self, config: HashedConfig, item_dim: int) -> None:
        super().__init__()
        self.bags = nn.EmbeddingBag(config.num_buckets, item_dim, mode="sum")
        self.bags.parameter_group = TABLE
        nn.init.normal_(self.bags.weight, std=item_dim**-0.5)
        self.mlp = nn.Sequential(
            nn.LayerNorm(item_dim), nn.Linear(item_dim, 2 * item_dim), nn.GELU(), nn.Linear(2 * item_dim, item_dim)
        )
        self.norm = nn.LayerNorm(item_dim)

    def forward(self, tokens_T: Tensor, begins_M: Tensor) -> Tensor:
        """Return `content_ME`; `begins_M` is the offset of each item's first token."""
        ends_M = F.pad(begins_M[1:], (0, 1), value=len(tokens_T))
        scale_M1 = (ends_M - begins_M).clamp(min=1).rsqrt()[:, None]
        bags_ME = self.bags(tokens_T, begins_M) * scale_M1
        return self.norm(bags_ME + self.mlp(bags_ME))


def _open(folder: Path, config: HashedConfig) -> TokenContent:
    return TokenContent(folder)


def _make(config: HashedConfig, content: Content, item_dim: int) -> HashedEncoder:
    return HashedEncoder(config, item_dim)


ENCODER = ItemEncoder(HashedConfig, write_hashed, _open, _make)
