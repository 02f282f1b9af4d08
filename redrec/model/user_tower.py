"""User tower: a cross-scenario history in, a few interest embeddings per queried scenario out.

A causal transformer reads the mixed history. Scenario queries are further tokens of the same sequence: a
query sees the events before its cut and the queries of its own group, and nothing sees a query. So many cut
points of one history are supervised in one pass, and serving is the same pass with one cut at the end
(queries as input tokens: RED-Rec, arXiv:2510.14788; many cuts: ours).

The mask follows time (`order_BL`), not the layout: with scenarios laid out one after the other, an event of
the last segment may be older than one of the first. Each head has a learned slope on the log of the distance in
time order, which tells a query what is recent, whatever the length of the history.

Shapes: B users, L events, G query groups (one cut and scenario each), Q queries per group, T = L + G * Q tokens,
S scenarios, E item vector, H hidden, D embedding, M attention heads.
"""

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.config import Config
from redrec.model.history import NUM_GAP_BUCKETS, NUM_HOURS


class UserTowerConfig(Config):
    num_queries: PositiveInt = 3  # per scenario, as in the paper
    hidden_dim: PositiveInt = 64
    num_layers: PositiveInt = 2
    num_heads: PositiveInt = 4
    dropout: float = 0.1


class Layer(nn.Module):
    """One pre-norm transformer layer on `scaled_dot_product_attention`."""

    def __init__(self, config: UserTowerConfig) -> None:
        super().__init__()
        hidden_dim = config.hidden_dim
        self.num_heads, self.dropout = config.num_heads, config.dropout
        self.norm_attention, self.norm_mlp = nn.LayerNorm(hidden_dim), nn.LayerNorm(hidden_dim)
        self.qkv = nn.Linear(hidden_dim, 3 * hidden_dim)
        self.out = nn.Linear(hidden_dim, hidden_dim)
        self.mlp = nn.Sequential(
            nn.Linear(hidden_dim, 4 * hidden_dim), nn.GELU(), nn.Linear(4 * hidden_dim, hidden_dim)
        )

    def forward(self, tokens_BTH: Tensor, bias_BMTT: Tensor) -> Tensor:
        batch, length, _ = tokens_BTH.shape
        qkv = self.qkv(self.norm_attention(tokens_BTH)).view(batch, length, 3, self.num_heads, -1)
        q_BMTK, k_BMTK, v_BMTK = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed_BMTK = F.scaled_dot_product_attention(q_BMTK, k_BMTK, v_BMTK, attn_mask=bias_BMTT)
        mixed_BTH = torch.cat(mixed_BMTK.unbind(1), dim=-1)
        tokens_BTH = tokens_BTH + F.dropout(self.out(mixed_BTH), self.dropout, self.training)
        return tokens_BTH + F.dropout(self.mlp(self.norm_mlp(tokens_BTH)), self.dropout, self.training)


class UserTower(nn.Module):
    """Events and queries in, unit-norm interests out; `head` (E -> D) is the item tower's own: one space."""

    def __init__(
        self,
        config: UserTowerConfig,
        head: nn.Linear,
        num_scenarios: int,
        num_actions: int,
        max_events_per_scenario: int,
    ) -> None:
        super().__init__()
        hidden_dim = config.hidden_dim
        self.config = config
        self.project = nn.Linear(head.in_features, hidden_dim)
        self.action = nn.Embedding(num_actions, hidden_dim)
        self.scenario = nn.Embedding(num_scenarios, hidden_dim)
        self.hour = nn.Embedding(NUM_HOURS, hidden_dim)
        self.gap = nn.Embedding(NUM_GAP_BUCKETS, hidden_dim)
        self.position = nn.Embedding(max_events_per_scenario, hidden_dim)
        self.queries_SQH = nn.Parameter(torch.empty(num_scenarios, config.num_queries, hidden_dim))
        self.slope_M = nn.Parameter(torch.linspace(0, 1, config.num_heads))  # from blind to distance to recency
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm_in, self.norm_out = nn.LayerNorm(hidden_dim), nn.LayerNorm(hidden_dim)
        self.to_item = nn.Linear(hidden_dim, head.in_features)
        self.head = head
        for embedding in (self.action, self.scenario, self.hour, self.gap, self.position):
            nn.init.normal_(embedding.weight, std=0.02)
        nn.init.normal_(self.queries_SQH, std=0.02)

    def forward(
        self,
        vectors_BLE: Tensor,
        action_BL: Tensor,
        scenario_BL: Tensor,
        hour_BL: Tensor,
        gap_BL: Tensor,
        position_BL: Tensor,
        order_BL: Tensor,
        is_event_BL: Tensor,
        query_scenario_BG: Tensor,
        cut_BG: Tensor,
    ) -> Tensor:
        """Return `interests_BGQD`; group g of a user sees its events whose order is below `cut_BG[:, g]`.

        Padding may be anywhere: no token attends where `is_event_BL` is False, except a padded one to itself.
        """
        events_BLH = (
            self.project(vectors_BLE)
            + self.action(action_BL)
            + self.scenario(scenario_BL)
            + self.hour(hour_BL)
            + self.gap(gap_BL)
            + self.position(position_BL)
        )
        queries_BXH = self.queries_SQH[query_scenario_BG].flatten(1, 2)  # X = G * Q
        tokens_BTH = self.norm_in(torch.cat([events_BLH, queries_BXH], dim=1))
        tokens_BTH = F.dropout(tokens_BTH, self.config.dropout, self.training)
        bias_BMTT = self._bias(order_BL, is_event_BL, cut_BG)
        for layer in self.layers:
            tokens_BTH = layer(tokens_BTH, bias_BMTT)
        interests_BXD = self.head(self.to_item(self.norm_out(tokens_BTH[:, events_BLH.shape[1] :])))
        interests_BGQD = interests_BXD.unflatten(1, (-1, self.config.num_queries))
        return F.normalize(interests_BGQD, dim=-1)

    def _bias(self, order_BL: Tensor, is_event_BL: Tensor, cut_BG: Tensor) -> Tensor:
        """Return the additive attention bias `bias_BMTT`: learned by distance in time, -inf where hidden."""
        num_queries, num_events = self.config.num_queries, order_BL.shape[1]
        order_BX = cut_BG.repeat_interleave(num_queries, dim=1)
        order_BT = torch.cat([order_BL, order_BX], dim=1)
        distance_BTL = order_BT[:, :, None] - order_BL[:, None, :]
        is_visible_BTL = is_event_BL[:, None, :] & (distance_BTL >= 0)
        is_earlier_BXL = is_visible_BTL[:, num_events:] & (distance_BTL[:, num_events:] > 0)
        is_visible_BTL = torch.cat([is_visible_BTL[:, :num_events], is_earlier_BXL], dim=1)

        group_X = torch.arange(order_BX.shape[1], device=order_BL.device) // num_queries
        is_same_group_XX = group_X[:, None] == group_X[None, :]
        is_visible_TX = F.pad(is_same_group_XX, (0, 0, num_events, 0))
        is_visible_BTX = is_visible_TX[None].expand(order_BL.shape[0], -1, -1)
        is_self_TT = torch.eye(order_BT.shape[1], dtype=torch.bool, device=order_BL.device)
        is_visible_BTT = torch.cat([is_visible_BTL, is_visible_BTX], dim=2) | is_self_TT

        distance_BTT = F.pad(distance_BTL, (0, order_BX.shape[1])).clamp(min=0)
        bias_BMTT = -self.slope_M[:, None, None] * torch.log1p(distance_BTT.to(self.slope_M.dtype))[:, None]
        return bias_BMTT.masked_fill(~is_visible_BTT[:, None], float("-inf"))
