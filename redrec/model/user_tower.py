"""User tower: a cross-scenario history in, a few interest embeddings per queried scenario out.

A causal transformer reads the mixed history. Scenario queries are further tokens of the same sequence: a query sees the
events before its cut, and no token sees a query. Training therefore supervises many cut points of a history in one
pass, and serving is the same pass with one cut at the end (queries as input tokens: RED-Rec, arXiv:2510.14788; many
cuts: ours).

A query is the sum of a learned vector, a projection of the newest event before its cut, and the age of that event when
the user is queried. The projection helps if the next event depends mostly on the newest one, which attention would
otherwise have to learn to select; it is zero-initialised, since not every data set is like that. The age helps because
items bought in one basket differ from items wanted weeks later. A learned start token precedes the oldest event, so
that a user without events has a token too.

Without queries (`num_queries=0`) the interest of a cut is the hidden state of the newest event before it and does not
depend on the queried scenario: next-item models such as SASRec (arXiv:1808.09781) and HLLM (arXiv:2409.12740).

Shapes: B users, L events, G query groups (one cut and scenario each), Q interests per group, X = G * Q query tokens,
K = L + 1 keys, P packed tokens or groups (`redrec.model.packing`), S scenarios, E item vector, H hidden, D embedding.
"""

from typing import NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.config import Record
from redrec.history import NUM_GAP_BUCKETS, NUM_HOURS, EventFeatures, HistoryConfig
from redrec.model.config import UserTowerConfig
from redrec.model.decoder import Decoder
from redrec.model.packing import PackedTokens, Packing, Padding
from redrec.model.parameter_groups import UNDECAYED
from redrec.model.transformer import Transformer
from redrec.model.visibility import Visibility

# A new backbone is one file, one line here and one in `BACKBONE_CONFIGS`. A module takes its configuration, the tower's
# hidden size and the number of distances; its `forward` has the signature of the transformer's.
BACKBONES: dict[str, type[nn.Module]] = {"transformer": Transformer, "decoder": Decoder}


class Sizes(Record):
    """How many values each integer input of the tower has."""

    action: PositiveInt
    scenario: PositiveInt
    hour: PositiveInt = NUM_HOURS
    gap: PositiveInt = NUM_GAP_BUCKETS


class QueryGroups(NamedTuple):
    """The queried scenarios and cuts of each user; group g is queried just before event `cut_BG[:, g]`."""

    scenario_BG: Tensor
    gap_BG: Tensor  # bucket of the newest event's age when the user is queried
    cut_BG: Tensor
    is_queried_BG: Tensor  # the interests of other groups are arbitrary


class UserTower(nn.Module):
    """Events and queries in, unit-norm interests out; `head` (E -> D) is shared with the item tower."""

    def __init__(self, config: UserTowerConfig, head: nn.Linear, sizes: Sizes, history: HistoryConfig) -> None:
        super().__init__()
        hidden_dim = config.hidden_dim
        self.config, self.sizes, self.history = config, sizes, history
        self.project = nn.Linear(head.in_features, hidden_dim)
        self.features = nn.ModuleDict(
            {name: nn.Embedding(getattr(sizes, name), hidden_dim) for name in config.features}
        )
        self.features.parameter_group = UNDECAYED
        self.start_H = nn.Parameter(torch.empty(hidden_dim))
        self.queries = Queries(sizes, config) if config.num_queries else None
        self.norm = nn.LayerNorm(hidden_dim)
        self.backbone = BACKBONES[config.backbone.kind](config.backbone, hidden_dim, history.num_distances)
        self.to_item = nn.Linear(hidden_dim, head.in_features)
        self.head = head
        for weight in (self.start_H, *self.features.parameters()):
            nn.init.normal_(weight, std=0.02)

    @property
    def num_interests(self) -> int:
        return max(1, self.config.num_queries)

    def forward(self, vectors_BLE: Tensor, events: EventFeatures[Tensor], queries: QueryGroups) -> Tensor:
        """Return `interests_BGQD`."""
        packing, groups = self._packing(events.is_event_BL), self._packing(queries.is_queried_BG)
        events_PH = self.project(packing.pack(vectors_BLE))
        for name, embedding in self.features.items():
            events_PH = events_PH + embedding(packing.pack(getattr(events, f"{name}_BL")))
        keys, keys_PH = packing.with_first(self.start_H, events_PH)
        newest_P = groups.pack(keys.index_BT.gather(1, queries.cut_BG))  # key 0 is the start
        cut_BK = torch.arange(keys.index_BT.shape[1], device=events_PH.device).expand_as(keys.index_BT)
        key_tokens = PackedTokens(self._enter(keys_PH), keys, cut_BK)
        visibility = Visibility(events.scenario_BL, events.is_event_BL, self.sizes.scenario, self.history)
        if self.queries is None:
            hidden_PQH = self.backbone(key_tokens, None, visibility).index_select(0, newest_P)[:, None]
        else:
            scenario_P, gap_P = groups.pack(queries.scenario_BG), groups.pack(queries.gap_BG)
            queries_PQH = self.queries(keys_PH.index_select(0, newest_P), scenario_P, gap_P)
            query_tokens = self._query_tokens(self._enter(queries_PQH), queries)
            hidden_PQH = self.backbone(key_tokens, query_tokens, visibility).unflatten(0, queries_PQH.shape[:2])
        return groups.unpack(F.normalize(self.head(self.to_item(hidden_PQH)), dim=-1))

    def _packing(self, is_token_BT: Tensor) -> Packing | Padding:
        return Packing.of(is_token_BT) if self.training else Padding.of(is_token_BT)

    def _query_tokens(self, queries_PQH: Tensor, queries: QueryGroups) -> PackedTokens:
        """Return the queries as tokens; the queries of a group are adjacent."""
        is_queried_BX = queries.is_queried_BG.repeat_interleave(self.num_interests, 1)
        cut_BX = queries.cut_BG.repeat_interleave(self.num_interests, 1)
        return PackedTokens(queries_PQH.flatten(0, 1), self._packing(is_queried_BX), cut_BX)

    def _enter(self, tokens: Tensor) -> Tensor:
        return F.dropout(self.norm(tokens), self.config.dropout, self.training)


class Queries(nn.Module):
    """The query tokens of a scenario: Q learned vectors, plus the same projection of the newest event and its age.

    An age is the sum of the learned steps of all buckets up to its own. So an age beyond those in training, such as
    that of a user who was away for longer than the log, counts as the longest one in training.
    """

    def __init__(self, sizes: Sizes, config: UserTowerConfig) -> None:
        super().__init__()
        hidden_dim = config.hidden_dim
        self.learned_SQH = nn.Parameter(torch.empty(sizes.scenario, config.num_queries, hidden_dim))
        self.newest = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.features = nn.ModuleDict({name: nn.Embedding(sizes.gap, hidden_dim) for name in config.query_features})
        self.features.parameter_group = UNDECAYED
        nn.init.normal_(self.learned_SQH, std=0.02)
        for weight in (self.newest.weight, *self.features.parameters()):
            nn.init.zeros_(weight)

    def forward(self, newest_PH: Tensor, scenario_P: Tensor, gap_P: Tensor) -> Tensor:
        """Return `queries_PQH`, of P query groups."""
        shared_PH = self.newest(newest_PH)
        for step in self.features.values():
            shared_PH = shared_PH + step.weight.cumsum(0)[gap_P]
        queries_PQH: Tensor = self.learned_SQH[scenario_P] + shared_PH[:, None]
        return queries_PQH
