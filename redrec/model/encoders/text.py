"""Text: item text through a language model, which is frozen or learns with the towers.

With a frozen model, the catalog is encoded once and training reads vectors (`redrec.model.encoders.vectors`). With LoRA
adapters or full training, the content is the catalog's token ids, and every step encodes the texts of its own items.

Shapes: M items, T tokens of all M items, V vector, E item vector.
"""

import logging
from collections.abc import Iterator
from itertools import chain, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from redrec.config import InputError
from redrec.model.encoders.config import TextConfig
from redrec.model.encoders.content import (
    Content,
    EncodingProgress,
    TokenContent,
    blocks,
    encoding_blocks,
    rows_of,
    write_tokens,
)
from redrec.model.encoders.encoder import ItemEncoder
from redrec.model.encoders.language_model import ITEM_TOKEN, LanguageModel, load_tokenizer
from redrec.model.encoders.template import lines
from redrec.model.encoders.vectors import (
    Projection,
    VectorBlock,
    VectorContent,
    make_projection,
    require_distinct,
    store,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


def write_text(items: Path, folder: Path, config: TextConfig) -> TokenContent | VectorContent:
    """Write the catalog's tokens into `folder`, and for a frozen model its vectors.

    Raises:
        InputError: There is no such model, its input is too short for the fields, no item has text, or a frozen
            model gives all items the same vector.
    """
    tokens = _write_tokens(items, folder, config)
    _require_texts(tokens, items)
    if config.regime != "frozen":
        return tokens
    content = store(folder, len(tokens), _encoded(tokens, config), config.model)
    require_distinct(content, config.model)
    return content


def write_new(items: Path, folder: Path, config: TextConfig, trained: Path) -> TokenContent | VectorContent:
    """Write the tokens, or the vectors, of items that a training did not have, standardised as those that it had."""
    tokens = _write_tokens(items, folder, config)
    if config.regime != "frozen":
        return tokens
    return store(folder, len(tokens), _encoded(tokens, config), config.model, trained)


def _write_tokens(items: Path, folder: Path, config: TextConfig) -> TokenContent:
    tokenizer = load_tokenizer(config)
    of_blocks = (_tokens(block, tokenizer, config) for block in blocks(items, _names(config)))
    return write_tokens(folder, chain.from_iterable(of_blocks))


def _names(config: TextConfig) -> list[str]:
    return [field.name for field in config.fields]


def _readings(items: Path, config: TextConfig) -> Iterator[str]:
    for row in rows_of(items, _names(config)):
        yield "".join(line for line, _ in lines(row, config.fields))


def _require_texts(tokens: TokenContent, items: Path) -> None:
    """Log how many items have no text.

    Raises:
        InputError: No item has text.
    """
    num_empty = int((np.diff(tokens.offsets_N1) == 0).sum())
    if num_empty:
        logger.info(f"{num_empty:,} of {len(tokens):,} items have no text and share one vector. Give them text.")
    if num_empty == len(tokens):
        raise InputError(
            f"None of the {len(tokens):,} items of {items.name} has text in encoder.fields. "
            "Give them text, or choose the encoder `hashed`, which then learns their ids."
        )


def _tokens(
    rows: list[dict[str, Any]], tokenizer: "PreTrainedTokenizerBase", config: TextConfig
) -> Iterator[list[int]]:
    """Yield the tokens of each row: its lines, each cut at its budget, between the model's special tokens."""
    of_row = [list(lines(row, config.fields)) for row in rows]
    texts = [text for text, _ in chain.from_iterable(of_row)]
    tokens = iter(tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else [])
    first, last = _special_tokens(tokenizer)
    if config.pooling == "last_token":
        last = [*last, tokenizer.convert_tokens_to_ids(ITEM_TOKEN)]
    for row in of_row:
        body: list[int] = []
        for _, max_tokens in row:
            body += next(tokens)[:max_tokens]
        yield [*first, *body, *last] if body else []


def _special_tokens(tokenizer: "PreTrainedTokenizerBase") -> tuple[list[int], list[int]]:
    """Return the tokens that the model expects before and after a text."""
    probe = tokenizer("a", return_special_tokens_mask=True)
    pairs = list(zip(probe["input_ids"], probe["special_tokens_mask"], strict=True))
    first, last = (takewhile(lambda pair: pair[1], side) for side in (pairs, reversed(pairs)))
    return [token for token, _ in first], [token for token, _ in last][::-1]


@torch.inference_mode()
def _encoded(tokens: TokenContent, config: TextConfig) -> Iterator[VectorBlock]:
    """Yield the vectors of all items that have text, block by block."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    is_half = device.type == "cuda" and torch.cuda.is_bf16_supported()
    model = LanguageModel(config).eval().to(device, torch.bfloat16 if is_half else torch.float32)
    progress, num_done = EncodingProgress(len(tokens)), 0
    for block_K in encoding_blocks(tokens):
        index_K = block_K[tokens.lengths(block_K) > 0]
        if len(index_K):
            yield index_K, model(**{name: value.to(device) for name, value in tokens.of(index_K).items()}).cpu().numpy()
        num_done += len(block_K)
        progress.show(num_done)


class TextEncoder(nn.Module):
    def __init__(self, config: TextConfig, item_dim: int) -> None:
        super().__init__()
        self.language_model = LanguageModel(config)
        self.projection = Projection(self.language_model.vector_dim, item_dim, config.dropout)

    def forward(self, tokens_T: Tensor, begins_M: Tensor) -> Tensor:
        """Return `content_ME`; `begins_M` is the offset of each item's first token."""
        has_text_M = torch.diff(begins_M, append=begins_M.new_tensor([len(tokens_T)])) > 0
        pooled_MV = self.language_model(tokens_T, begins_M)
        return self.projection(pooled_MV * self.language_model.vector_dim**0.5, has_text_M)


def _open(folder: Path, config: TextConfig) -> Content:
    return VectorContent(folder) if config.regime == "frozen" else TokenContent(folder)


def _make(config: TextConfig, content: Content, item_dim: int) -> nn.Module:
    if config.regime == "frozen":
        return make_projection(content, item_dim, config.dropout)
    return TextEncoder(config, item_dim)


def _sources(config: TextConfig) -> list[Path]:
    return [Path(config.model)]


ENCODER = ItemEncoder(write_text, _open, _make, _sources, _readings, write_new)
