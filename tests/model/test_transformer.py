"""Transformer: the bias is the one that its formula gives, and queries and keys share every weight."""

import math

import pytest
import torch

from redrec.history import HistoryConfig
from redrec.model.config import TransformerConfig
from redrec.model.packing import PackedTokens, Padding
from redrec.model.transformer import HIDDEN, Transformer
from redrec.model.visibility import Visibility, Visible

B, K, H = 2, 5, 8
CUT_BK = torch.arange(K).expand(B, K)
VISIBILITY = Visibility(
    torch.zeros(B, K - 1, dtype=torch.long), torch.ones(B, K - 1, dtype=torch.bool), 1, HistoryConfig(policy="quota_2d")
)


@pytest.fixture
def transformer() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(num_layers=2, num_heads=2), H, num_distances=2).eval()


def tokens(hidden_BTH: torch.Tensor, cut_BT: torch.Tensor) -> PackedTokens:
    packing = Padding.of(torch.ones_like(cut_BT, dtype=torch.bool))
    return PackedTokens(packing.pack(hidden_BTH), packing, cut_BT)


def test_the_bias_falls_with_the_log_of_each_distance_and_hides_the_rest(transformer):
    """At first heads have slopes 0 and 1 on the distance in time, and none on the positions."""
    is_visible_BTK = torch.tensor([[[True, True, False, True]]])
    visible = Visible(is_visible_BTK, (torch.tensor([[[4.0, 3, 2, 1]]]), torch.tensor([[[9.0, 1, 1, 2]]])))
    bias_MK = transformer._bias(visible)[0, :, 0]
    assert bias_MK[0].tolist() == pytest.approx([0, 0, HIDDEN, 0])
    assert bias_MK[1].tolist() == pytest.approx([-math.log(4), -math.log(3), HIDDEN, 0], abs=1e-6)
    with torch.no_grad():
        transformer.slope_DM1[1, 0] = 2
    bias_MK = transformer._bias(visible)[0, :, 0]
    assert bias_MK[0].tolist() == pytest.approx([-2 * math.log(9), 0, HIDDEN, -2 * math.log(2)])


def test_a_query_like_a_key_with_its_cut_becomes_like_it(transformer):
    """A key's cut is behind itself, so both see the same keys."""
    hidden_BKH = torch.randn(B, K, H, generator=torch.Generator().manual_seed(1))
    keys, queries = (tokens(hidden_BKH[:, at], CUT_BK[:, at]) for at in (slice(None), slice(3, 5)))
    with torch.no_grad():
        keys_BKH = transformer(keys, None, VISIBILITY).view(B, K, H)
        queries_BXH = transformer(keys, queries, VISIBILITY).view(B, 2, H)
    torch.testing.assert_close(queries_BXH, keys_BKH[:, 3:5])
