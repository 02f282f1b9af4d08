"""Decoder: a Hugging Face decoder under our mask computes what it computes by itself, where the two masks agree."""

import pytest
import torch
from transformers import AutoModel

from redrec.history import HistoryConfig
from redrec.model.config import DecoderConfig
from redrec.model.decoder import Decoder
from redrec.model.packing import PackedTokens, Padding
from redrec.model.visibility import Visibility
from tests.model.catalogs import SIZES, tiny_decoder

B, K = 2, 5
CUT_BK = torch.arange(K).expand(B, K)
VISIBILITY = Visibility(
    torch.zeros(B, K - 1, dtype=torch.long), torch.ones(B, K - 1, dtype=torch.bool), 1, HistoryConfig()
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    return tiny_decoder(tmp_path_factory.mktemp("decoder"))


def hidden_states(width: int) -> torch.Tensor:
    return torch.randn(B, K, width, generator=torch.Generator().manual_seed(1))


def tokens(hidden_BTH: torch.Tensor, cut_BT: torch.Tensor) -> PackedTokens:
    packing = Padding.of(torch.ones_like(cut_BT, dtype=torch.bool))
    return PackedTokens(packing.pack(hidden_BTH), packing, cut_BT)


def test_keys_in_time_order_are_a_causal_sequence(folder):
    """Of the model's own width nothing comes before or after it; the weights are those of the folder."""
    hidden_BKH = hidden_states(SIZES["hidden_size"])
    decoder = Decoder(DecoderConfig(model=folder), SIZES["hidden_size"], 1).eval()
    with torch.no_grad():
        ours_PH = decoder(tokens(hidden_BKH, CUT_BK), None, VISIBILITY)
        expected_BKH = AutoModel.from_pretrained(folder).eval()(inputs_embeds=hidden_BKH).last_hidden_state
    torch.testing.assert_close(ours_PH.view(B, K, -1), expected_BKH)


def test_a_query_like_the_first_key_becomes_like_it(folder):
    """The key sees itself, the query sees the key and itself: two equal values have the same mean as one."""
    hidden_BKH = hidden_states(8)
    decoder = Decoder(DecoderConfig(model=folder), 8, 1).eval()
    keys, queries = (tokens(hidden_BKH[:, at], CUT_BK[:, at]) for at in (slice(None), slice(0, 1)))
    with torch.no_grad():
        keys_BKH = decoder(keys, None, VISIBILITY).view(B, K, 8)
        queries_BXH = decoder(keys, queries, VISIBILITY).view(B, 1, 8)
    torch.testing.assert_close(queries_BXH, keys_BKH[:, :1])


def test_the_word_table_is_dropped(folder):
    assert Decoder(DecoderConfig(model=folder), 8, 1).model.get_input_embeddings().num_embeddings == 1
