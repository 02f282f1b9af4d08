"""Language model: the tokens of many texts in, one unit-norm vector per text out; any Hugging Face encoder or decoder.

Texts are sorted by length and run in sub-batches of a bounded number of tokens, so that there is little padding. The
vector of a text does not depend on the other texts of its batch. An encoder is pooled by `mean` or `cls`; a decoder by
`last_token`, the state of a new token that is appended to every text. Pooling uses positions, never a token's id: the
released RED-Rec overwrites every real token of id 0.

Shapes: M texts, T tokens of all texts, K texts of a sub-batch, P its padded length, V vector.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.config import InputError
from redrec.model.encoders.config import TextConfig
from redrec.model.parameter_groups import LANGUAGE_MODEL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ITEM_TOKEN = "<|item|>"


def load_tokenizer(config: TextConfig) -> "PreTrainedTokenizerBase":
    """Return the model's tokenizer, with the item token if pooling needs it.

    Raises:
        InputError: There is no such model, or the fields' budgets do not fit into its input.
    """
    from transformers import AutoTokenizer

    with explained_load_errors(config.model):
        tokenizer = AutoTokenizer.from_pretrained(config.model)
    num_special = tokenizer.num_special_tokens_to_add() + (config.pooling == "last_token")
    num_tokens = sum(field.max_tokens for field in config.fields) + num_special
    if num_tokens > tokenizer.model_max_length:
        raise InputError(
            f"encoder.fields have {num_tokens:,} tokens with the special ones; {config.model} reads at most "
            f"{tokenizer.model_max_length:,}. Lower the budgets in encoder.fields."
        )
    if config.pooling == "last_token":
        tokenizer.add_special_tokens({"extra_special_tokens": [ITEM_TOKEN]}, replace_extra_special_tokens=False)
    return tokenizer


class LanguageModel(nn.Module):
    """A Hugging Face model with pooling; the regime decides which of its weights learn."""

    parameter_group = LANGUAGE_MODEL

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.pooling, self.batch_tokens = config.pooling, config.batch_tokens
        self.model = _load(config)
        self.vector_dim: int = self.model.config.get_text_config().hidden_size
        if config.activation_checkpointing:
            self.model.activation_checkpointing_enable()
        if config.regime == "lora":
            self.model = _with_adapters(self.model, config)

    def forward(self, tokens_T: Tensor, begins_M: Tensor) -> Tensor:
        """Return `pooled_MV`, unit norm; zeros for a text without tokens."""
        lengths_M = torch.diff(begins_M, append=begins_M.new_tensor([len(tokens_T)]))
        longest_first_M = lengths_M.argsort(descending=True, stable=True)
        pooled = []
        for start, stop in token_batches(lengths_M[longest_first_M].tolist(), self.batch_tokens):
            texts_K = longest_first_M[start:stop]
            pooled.append(self._pooled(tokens_T, begins_M[texts_K], lengths_M[texts_K]))
        num_pooled = sum(map(len, pooled))
        pooled.append(torch.zeros(len(begins_M) - num_pooled, self.vector_dim, device=tokens_T.device))
        return torch.cat(pooled)[longest_first_M.argsort()]

    def _pooled(self, tokens_T: Tensor, begins_K: Tensor, lengths_K: Tensor) -> Tensor:
        position_P = torch.arange(int(lengths_K.max()), device=tokens_T.device)
        is_token_KP = position_P < lengths_K[:, None]
        tokens_KP = tokens_T[(begins_K[:, None] + position_P).clamp(max=len(tokens_T) - 1)]
        hidden_KPV = self.model(input_ids=tokens_KP, attention_mask=is_token_KP.long()).last_hidden_state.float()
        if self.pooling == "mean":
            pooled_KV = (hidden_KPV * is_token_KP[..., None]).sum(1) / lengths_K[:, None]
        elif self.pooling == "cls":
            pooled_KV = hidden_KPV[:, 0]
        else:
            pooled_KV = hidden_KPV[torch.arange(len(hidden_KPV), device=tokens_T.device), lengths_K - 1]
        return F.normalize(pooled_KV, dim=-1)


def token_batches(lengths: list[int], batch_tokens: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of at most `batch_tokens` padded tokens, or one text; `lengths` descend, empty texts are left out.

    >>> list(token_batches([5, 4, 2, 2, 1, 0], batch_tokens=8))
    [(0, 1), (1, 3), (3, 5)]
    """
    start, num_texts = 0, len(lengths) - lengths.count(0)
    while start < num_texts:
        stop = min(num_texts, start + max(1, batch_tokens // lengths[start]))
        yield start, stop
        start = stop


def _load(config: TextConfig) -> Any:
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    with explained_load_errors(config.model):
        if config.random_init:
            model = AutoModel.from_config(AutoConfig.from_pretrained(config.model), dtype=torch.float32)
        else:
            model = AutoModel.from_pretrained(config.model, dtype=torch.float32)  # bf16 is the trainer's autocast
    model.config.use_cache = False
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # we pool ourselves, and weights without a gradient stop DistributedDataParallel
    if config.pooling == "last_token":
        _add_item_token(model, load_tokenizer(config))
    return model


@torch.no_grad()
def _add_item_token(model: Any, tokenizer: "PreTrainedTokenizerBase") -> None:
    """Add the item token's embedding, initialised as the mean of all embeddings."""
    num_known = model.get_input_embeddings().num_embeddings  # often more than the tokenizer has: spare rows
    mean_V = model.get_input_embeddings().weight.mean(0)
    if len(tokenizer) > num_known:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids(ITEM_TOKEN)] = mean_V


def _with_adapters(model: Any, config: TextConfig) -> Any:
    """Freeze the model and add LoRA adapters; the item token, which is new to the model, learns too."""
    from peft import LoraConfig, get_peft_model

    targets = config.adapters.targets
    own_tokens = None
    if config.pooling == "last_token":
        own_tokens = [load_tokenizer(config).convert_tokens_to_ids(ITEM_TOKEN)]
    return get_peft_model(
        model,
        LoraConfig(
            r=config.adapters.rank,
            lora_alpha=2 * config.adapters.rank,  # a scale of two for every rank, the usual choice
            target_modules=targets if isinstance(targets, str) else list(targets),
            trainable_token_indices=own_tokens,
        ),
    )


@contextmanager
def explained_load_errors(model: str) -> Iterator[None]:
    """Raise one InputError for each way in which Hugging Face reports an absent or unfit model."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(
            f"{model} cannot be loaded as a Hugging Face model: {str(error).splitlines()[0]} "
            "Give a folder with config.json, weights and preprocessor, or, if the hub can be reached, a name on it."
        ) from error
