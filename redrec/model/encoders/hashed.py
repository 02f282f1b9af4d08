"""Hashed: the default text encoder, which needs no download and no other model.

Words and neighbouring word pairs of the text are hashed into buckets, each bucket has a learned vector, and a small
residual network transforms their scaled sum. It learns from the interactions alone; a new item gets its vector from its
words.

Items with equal words would be one item to the model. Each of them has a bucket of its own in addition to its words. An
item without text has its own bucket alone, and so has one with the text of most items, such as "product": the vector of
a word that nearly all items share grows, and hides what differs. All other items are their words alone. Nothing is
known of a new item but its words: an own bucket learns from events, and without any, that the item is not met.

If the field `item_id` is given, every item has one more bucket. That helps if many titles are nearly identical.

Shapes: N items of the catalog, M items of a call, T hashed tokens of all M items, E item vector.
"""

import logging
import re
import zlib
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.model.encoders.config import HashedConfig
from redrec.model.encoders.content import Content, TokenContent, rows_of, write_tokens
from redrec.model.encoders.encoder import ItemEncoder
from redrec.model.parameter_groups import TABLE

logger = logging.getLogger(__name__)

WORD = re.compile(r"\w+")
OF_MOST = "of_most.npy"  # the hash of the text of more than half of the items, if there is one
MAX_OWN = 2**20  # own buckets, beyond which items share them: each step of the optimizer passes over all


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
    """Hash the catalog's text into `folder`; in memory are a few numbers per item."""
    hash_N = np.fromiter(map(_hash, _tokens(items, config)), dtype=np.uint64)
    is_empty_N, num_equal_N = hash_N == _hash([]), _num_equal(hash_N)
    has_own_N = is_empty_N | (num_equal_N > 1)
    is_of_most_N = num_equal_N > max(1, len(hash_N) / 2)
    has_words_N = ~is_empty_N & ~is_of_most_N
    if has_own_N.any():
        num_empty = int(is_empty_N.sum())
        logger.info(
            f"{num_empty:,} of {len(hash_N):,} items have no text, {has_own_N.sum() - num_empty:,} have that of "
            "another item: their ids are learned too. Of a new one, the model knows its text alone."
        )
    rows = zip(_tokens(items, config), has_words_N, own_buckets(has_own_N, config.num_buckets, MAX_OWN), strict=True)
    content = write_tokens(folder, ((words if has_words else []) + own for words, has_words, own in rows))
    np.save(folder / OF_MOST, np.unique(hash_N[is_of_most_N]))
    return content


def write_new(items: Path, folder: Path, config: HashedConfig, trained: Path) -> TokenContent:
    """Hash the text of items that a training did not have: words alone, and none of a text that most items had."""
    of_most = set(np.load(trained / OF_MOST).tolist())
    return write_tokens(folder, (words if _hash(words) not in of_most else [] for words in _tokens(items, config)))


def own_buckets(has_own_N: Iterable[bool], num_buckets: int, max_own: int) -> Iterator[list[int]]:
    """Yield each item's own bucket, if it has one; they are numbered from `num_buckets` up.

    >>> list(own_buckets([True, False, True, True], num_buckets=100, max_own=2))
    [[100], [], [101], [100]]
    """
    num_own = 0
    for has_own in has_own_N:
        yield [num_buckets + num_own % max_own] if has_own else []
        num_own += has_own


def _tokens(items: Path, config: HashedConfig) -> Iterator[list[int]]:
    return (hashed_tokens(_pairs(row), config) for row in rows_of(items, config.fields))


def _hash(tokens: list[int]) -> int:
    """Return a 64-bit hash of an item's tokens in any order, as their sum is the same in any order."""
    return int.from_bytes(blake2b(np.sort(np.array(tokens, dtype=np.int32)).tobytes(), digest_size=8).digest())


def _num_equal(hash_N: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return how many items have the text of each item, itself included."""
    _, group_N, counts = np.unique(hash_N, return_inverse=True, return_counts=True)
    return counts[group_N]


def _pairs(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield one item's (field, text) pairs: one for each tag, none for an absent text."""
    for name, value in row.items():
        texts = value or [] if name == "tags" else [value]
        for text in texts:
            if text:
                yield name, text


def _readings(items: Path, config: HashedConfig) -> Iterator[str]:
    return (repr(list(_pairs(row))) for row in rows_of(items, config.fields))


class HashedEncoder(nn.Module):
    def __init__(self, num_buckets: int, item_dim: int) -> None:
        super().__init__()
        self.bags = nn.EmbeddingBag(num_buckets, item_dim, mode="sum")
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
    assert isinstance(content, TokenContent)
    return HashedEncoder(max(config.num_buckets, content.tokens_T.max(initial=0) + 1), item_dim)


ENCODER = ItemEncoder(write_hashed, _open, _make, readings=_readings, write_new=write_new)
