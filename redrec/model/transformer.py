"""Transformer: the user tower's own backbone, on `scaled_dot_product_attention`.

Two kinds of tokens share every weight. Keys are the start token and the events; they attend to each other. Queries
attend to keys and nothing attends to a query: their cost is linear in their number and many cut points fit in one pass.

The mask follows time (`order`), not the layout: with scenarios laid out one after the other, an event of the last
segment may be older than one of the first. Each head has a learned slope on the log of the distance in time order,
which tells a token what is recent, whatever the length of the history.

Shapes: B users, K keys (start and L events), X query tokens, T = K + X, P tokens that are no
padding, H hidden, M attention heads, C channels of a head.
"""

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.config import Config


class TransformerConfig(Config):
    kind: Literal["transformer"] = "transformer"
    num_layers: PositiveInt = 2
    num_heads: PositiveInt = 4
    dropout: float = Field(default=0.1, ge=0, lt=1)


class Transformer(nn.Module):
    def __init__(self, config: TransformerConfig, hidden_dim: int) -> None:
        super().__init__()
        self.slope_M = nn.Parameter(torch.linspace(0, 1, config.num_heads))  # from blind to distance to recency
        self.layers = nn.ModuleList(Layer(config, hidden_dim) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(hidden_dim)

    def forward(
        self, keys_BKH: Tensor, queries_BXH: Tensor, order_BK: Tensor, cut_BX: Tensor, is_key_BK: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the hidden keys and queries; a key sees keys of its own order or lower, a query those below its cut.

        No token sees a key where `is_key_BK` is False. Every token must see one: the start token, of order -1.
        """
        biases = self._bias(order_BK + 1, order_BK, is_key_BK), self._bias(cut_BX, order_BK, is_key_BK)
        tokens_BTH = torch.cat([keys_BKH, queries_BXH], dim=1)
        is_token_BT = F.pad(is_key_BK, (0, cut_BX.shape[1]), value=True)
        packing = Packing(is_token_BT) if self.training else Padding(is_token_BT)
        tokens_PH = packing.pack(tokens_BTH)
        for layer in self.layers:
            tokens_PH = layer(tokens_PH, packing, *biases)
        tokens_BTH, num_keys = packing.unpack(self.norm(tokens_PH)), keys_BKH.shape[1]
        return tokens_BTH[:, :num_keys], tokens_BTH[:, num_keys:]

    def _bias(self, cut_BT: Tensor, order_BK: Tensor, is_key_BK: Tensor) -> Tensor:
        """Return the additive bias `bias_BMTK`: learned by distance in time, -inf from the cut on."""
        distance_BTK = cut_BT[:, :, None] - order_BK[:, None, :]
        is_hidden_BTK = (distance_BTK <= 0) | ~is_key_BK[:, None]
        log_distance_BTK = distance_BTK.clamp(min=1).to(self.slope_M.dtype).log()
        bias_BMTK = -self.slope_M[:, None, None] * log_distance_BTK[:, None]
        return bias_BMTK.masked_fill(is_hidden_BTK[:, None], float("-inf"))


class Packing:
    """Real tokens one after the other, so that linear layers work on no padding: half of a batch is padding easily."""

    def __init__(self, is_token_BT: Tensor) -> None:
        self.at_P = is_token_BT.flatten().nonzero()[:, 0]
        index_BT = is_token_BT.flatten().cumsum(0).view_as(is_token_BT) - 1
        self.index_BT = index_BT.clamp(min=0)  # padding takes the token before it, which no token looks at there

    def pack(self, tokens_BTH: Tensor) -> Tensor:
        return tokens_BTH.flatten(0, 1).index_select(0, self.at_P)

    def unpack(self, tokens_PH: Tensor) -> Tensor:
        return tokens_PH[self.index_BT]


class Padding:
    """All tokens, padding too: what an exported graph of fixed operations does."""

    def __init__(self, is_token_BT: Tensor) -> None:
        self.shape = is_token_BT.shape

    def pack(self, tokens_BTH: Tensor) -> Tensor:
        return tokens_BTH.flatten(0, 1)

    def unpack(self, tokens_PH: Tensor) -> Tensor:
        return tokens_PH.unflatten(0, self.shape)


class Layer(nn.Module):
    """One pre-norm layer over keys and queries together."""

    def __init__(self, config: TransformerConfig, hidden_dim: int) -> None:
        super().__init__()
        self.num_heads, self.dropout = config.num_heads, config.dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(hidden_dim), nn.LayerNorm(hidden_dim)
        self.qkv = nn.Linear(hidden_dim, 3 * hidden_dim)
        self.out = nn.Linear(hidden_dim, hidden_dim)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_dim, 4 * hidden_dim), nn.GELU(), nn.Linear(4 * hidden_dim, hidden_dim)
        )

    def forward(
        self, tokens_PH: Tensor, packing: Packing | Padding, key_bias_BMKK: Tensor, query_bias_BMXK: Tensor
    ) -> Tensor:
        num_keys, num_queries = key_bias_BMKK.shape[2], query_bias_BMXK.shape[2]
        qkv = packing.unpack(self.qkv(self.norm_attention(tokens_PH))).unflatten(2, (3, self.num_heads, -1))
        q_BMTC, k_BMTC, v_BMTC = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        keys_BMKC, values_BMKC = k_BMTC[:, :, :num_keys], v_BMTC[:, :, :num_keys]
        mixed_BMTC = torch.cat(
            [
                F.scaled_dot_product_attention(of_some_BMTC, keys_BMKC, values_BMKC, attn_mask=bias)
                for of_some_BMTC, bias in zip(
                    q_BMTC.split([num_keys, num_queries], dim=2), (key_bias_BMKK, query_bias_BMXK), strict=True
                )
            ],
            dim=2,
        )
        mixed_BTH = torch.cat(mixed_BMTC.unbind(1), dim=-1)
        mixed_PH = self.out(packing.pack(mixed_BTH))
        tokens_PH = tokens_PH + F.dropout(mixed_PH, self.dropout, self.training)
        return tokens_PH + F.dropout(self.mlp(self.norm_mlp(tokens_PH)), self.dropout, self.training)
