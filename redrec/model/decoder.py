"""Decoder: any Hugging Face decoder as the user tower's backbone, as an alternative to our own transformer.

Events are passed as input embeddings, so the model's word table is dropped. Our mask (`redrec.model.visibility`) is
passed as a 4-D additive mask, and the time order as position ids, so that rotary positions follow time. A query's
position is its cut. Keys and queries form one sequence here, so a query costs as much as an event. In training, rotary
positions also count events that have expired at a cut; the distances of our own transformer do not.

Shapes: B users, K keys, X query tokens, T = K + X tokens, H hidden of the tower, W hidden of the decoder.
"""

from typing import Any

import torch
from torch import Tensor, nn

from redrec.model.config import DecoderConfig
from redrec.model.packing import PackedTokens
from redrec.model.visibility import Visibility


class Decoder(nn.Module):
    def __init__(self, config: DecoderConfig, hidden_dim: int, num_distances: int) -> None:
        super().__init__()
        self.model = _load(config)
        width = self.model.config.hidden_size
        self.enter = nn.Linear(hidden_dim, width) if width != hidden_dim else nn.Identity()
        self.leave = nn.Linear(width, hidden_dim) if width != hidden_dim else nn.Identity()

    def forward(self, keys: PackedTokens, queries: PackedTokens | None, visibility: Visibility) -> Tensor:
        """Return the hidden queries, or without queries the hidden keys, as `redrec.model.transformer.Transformer`."""
        tokens = [keys] if queries is None else [keys, queries]
        tokens_BTW = self.enter(torch.cat([one.packing.unpack(one.hidden_PH) for one in tokens], dim=1))
        cut_BT = torch.cat([one.cut_BT for one in tokens], dim=1)
        is_visible_BTK = visibility.from_cuts(cut_BT).is_visible_BTK
        is_self_TT = torch.eye(cut_BT.shape[1], dtype=torch.bool, device=cut_BT.device)
        is_visible_BTT = nn.functional.pad(is_visible_BTK, (0, cut_BT.shape[1] - is_visible_BTK.shape[2])) | is_self_TT
        lowest = torch.finfo(tokens_BTW.dtype).min
        bias_B1TT = torch.zeros_like(is_visible_BTT, dtype=tokens_BTW.dtype).masked_fill(~is_visible_BTT, lowest)[
            :, None
        ]
        hidden_BTW = self.model(
            inputs_embeds=tokens_BTW, attention_mask=bias_B1TT, position_ids=cut_BT, use_cache=False
        ).last_hidden_state
        read_BTW = hidden_BTW[:, -tokens[-1].cut_BT.shape[1] :]
        return self.leave(tokens[-1].packing.pack(read_BTW))


def _load(config: DecoderConfig) -> Any:
    """Return the decoder without its word table."""
    from transformers import AutoConfig, AutoModel

    if config.model is None:
        changes: dict[str, Any] = dict(config.architecture)
        made = AutoConfig.for_model(changes.pop("model_type"), **changes)
        model = AutoModel.from_config(made, attn_implementation="sdpa")
    else:
        model = AutoModel.from_pretrained(config.model, attn_implementation="sdpa", **config.architecture)
    model.set_input_embeddings(nn.Embedding(1, model.config.hidden_size))
    return model
