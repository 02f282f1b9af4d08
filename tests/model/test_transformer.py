"""Transformer: the bias is the one that its formula gives, and queries and keys share every weight."""

import math

import pytest
import torch

from redrec.model.packing import PackedTokens, Padding
from redrec.model.transformer import Transformer, TransformerConfig

B, K, H = 2, 5, 8
IS_KEY_BK = torch.tensor([[True] * 5, [True, True, False, True, True]])
ORDER_BK = torch.tensor([[-1, 2, 0, 3, 1], [-1, 0, 0, 1, 2]])


@pytest.fixture
def transformer() -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(num_layers=2, num_heads=2), H).eval()


def tokens(hidden_BTH: torch.Tensor, cut_BT: torch.Tensor) -> PackedTokens:
    packing = Padding.of(torch.ones_like(cut_BT, dtype=torch.bool))
    return PackedTokens(packing.pack(hidden_BTH), packing, cut_BT)


def test_the_bias_falls_with_the_log_of_the_distance_and_hides_the_rest(transformer):
    """One token whose cut is 3: it sees orders -1, 2, 0 and 1 at distances 4, 1, 3 and 2; heads have slopes 0 and 1."""
    bias_MK = transformer._bias(torch.tensor([[3]]), ORDER_BK[:1], IS_KEY_BK[:1])[0, :, 0]
    assert bias_MK[0].tolist() == [0, 0, 0, -math.inf, 0]
    assert bias_MK[1].tolist() == pytest.approx([-math.log(4), 0, -math.log(3), -math.inf, -math.log(2)])


def test_padding_is_hidden_from_every_token(transformer):
    bias_BMTK = transformer._bias(torch.full((B, 1), 9), ORDER_BK, IS_KEY_BK)
    assert (bias_BMTK[1, :, 0] == -math.inf).tolist() == [[False, False, True, False, False]] * 2


def test_a_query_like_a_key_with_its_cut_becomes_like_it(transformer):
    """A key's cut is behind itself, so both see the same keys."""
    hidden_BKH = torch.randn(B, K, H, generator=torch.Generator().manual_seed(1))
    keys, queries = (tokens(hidden_BKH[:, at], (ORDER_BK + 1)[:, at]) for at in (slice(None), slice(3, 5)))
    with torch.no_grad():
        keys_BKH = transformer(keys, None, IS_KEY_BK).view(B, K, H)
        queries_BXH = transformer(keys, queries, IS_KEY_BK).view(B, 2, H)
    torch.testing.assert_close(queries_BXH, keys_BKH[:, 3:5])
