"""Transformer: the user tower's own backbone, on `scaled_dot_product_attention`.

Two types of tokens share all weights. Keys are the start token and the events; they attend to each other. Queries
attend to keys, and no token attends to a query: their cost is linear in their number, so many cut points fit in a pass.

Each head has a learned slope on the log of each distance (`redrec.model.visibility`). So a token can attend to recent
events, independently of the length of the history. These slopes are the only positions: an event has no index of its
own, since its index among the visible events differs from cut to cut.

Shapes: B users, K keys (start and L events), X query tokens, T keys or query tokens, P packed tokens
(`redrec.model.packing`), H hidden, D distances, M attention heads, C channels of a head.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.model.config import TransformerConfig
from redrec.model.packing import PackedTokens, Packing, Padding
from redrec.model.visibility import Visibility, Visible

HIDDEN = -1e9  # finite: a product with zero must be zero


class Transformer(nn.Module):
    def __init__(self, config: TransformerConfig, hidden_dim: int, num_distances: int) -> None:
        super().__init__()
        slope_DM1 = torch.zeros(num_distances, config.num_heads, 1)
        slope_DM1[0, :, 0] = torch.linspace(0, 1, config.num_heads)  # in time: from no effect to a strong one
        self.slope_DM1 = nn.Parameter(slope_DM1)
        self.layers = nn.ModuleList(Layer(config, hidden_dim) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(hidden_dim)

    def forward(self, keys: PackedTokens, queries: PackedTokens | None, visibility: Visibility) -> Tensor:
        """Return the hidden queries, or without queries the hidden keys; unused states are not computed."""
        keys_PH = keys.hidden_PH
        queries_PH = keys_PH[:0] if queries is None else queries.hidden_PH
        num_key_layers = len(self.layers) - (queries is not None)
        if num_key_layers:
            key_bias_BMKK = self._bias(visibility.from_cuts(keys.cut_BT))
        if queries is not None:
            query_bias_BMXK = self._bias(visibility.from_cuts(queries.cut_BT))
        for number, layer in enumerate(self.layers):
            seen_2BMKC = layer.keys_and_values(keys_PH, keys.packing)
            if queries is not None:
                queries_PH = layer(queries_PH, queries.packing, seen_2BMKC, query_bias_BMXK)
            if number < num_key_layers:
                keys_PH = layer(keys_PH, keys.packing, seen_2BMKC, key_bias_BMKK)
        return self.norm(keys_PH if queries is None else queries_PH)

    def _bias(self, visible: Visible) -> Tensor:
        """Return the additive bias `bias_BMTK`: minus slope times log distance, `HIDDEN` where a token sees nothing."""
        hidden_BTK = (~visible.is_visible_BTK).float()
        log_distances = [distance_BTK.clamp(min=1).log() for distance_BTK in visible.distances]
        terms_BDTK = torch.stack([hidden_BTK, *log_distances], dim=1)
        hidden_M1 = torch.full_like(self.slope_DM1[0], HIDDEN)
        weight_MD = torch.cat([hidden_M1, *(-self.slope_DM1)], dim=1)
        bias_BMTK: Tensor = (weight_MD @ terms_BDTK.flatten(2)).unflatten(2, hidden_BTK.shape[1:])
        return bias_BMTK


class Layer(nn.Module):
    """One pre-norm layer: tokens, either keys or queries, attend to the keys."""

    def __init__(self, config: TransformerConfig, hidden_dim: int) -> None:
        super().__init__()
        self.num_heads, self.dropout = config.num_heads, config.dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(hidden_dim), nn.LayerNorm(hidden_dim)
        self.query = nn.Linear(hidden_dim, hidden_dim)
        self.key_value = nn.Linear(hidden_dim, 2 * hidden_dim)
        self.out = nn.Linear(hidden_dim, hidden_dim)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_dim, 4 * hidden_dim), nn.GELU(), nn.Linear(4 * hidden_dim, hidden_dim)
        )

    def keys_and_values(self, keys_PH: Tensor, packing: Packing | Padding) -> Tensor:
        """Return the keys and values that the tokens of this layer attend to, `seen_2BMKC`."""
        seen_BKF = packing.unpack(self.key_value(self.norm_attention(keys_PH)))
        return seen_BKF.unflatten(2, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)

    def forward(self, tokens_PH: Tensor, packing: Packing | Padding, seen_2BMKC: Tensor, bias_BMTK: Tensor) -> Tensor:
        query_BTH = packing.unpack(self.query(self.norm_attention(tokens_PH)))
        query_BMTC = query_BTH.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        mixed_BMTC = F.scaled_dot_product_attention(query_BMTC, seen_2BMKC[0], seen_2BMKC[1], attn_mask=bias_BMTK)
        mixed_PH = self.out(packing.pack(torch.cat(mixed_BMTC.unbind(1), dim=-1)))
        tokens_PH = tokens_PH + F.dropout(mixed_PH, self.dropout, self.training)
        return tokens_PH + F.dropout(self.mlp(self.norm_mlp(tokens_PH)), self.dropout, self.training)
