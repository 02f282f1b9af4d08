"""Packing: the packed tokens of training are the padded ones of serving, at the positions that have a token."""

import pytest
import torch

from redrec.model.packing import Packing, Padding

IS_TOKEN_BT = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
VALUES_BTH = torch.arange(18.0).view(3, 3, 2)
FIRST_H = torch.tensor([-1.0, -2.0])


@pytest.mark.parametrize("kind", [Packing, Padding])
def test_unpacking_brings_each_token_back_to_its_position(kind):
    packing = kind.of(IS_TOKEN_BT)
    unpacked_BTH = packing.unpack(packing.pack(VALUES_BTH))
    assert torch.equal(unpacked_BTH[IS_TOKEN_BT], VALUES_BTH[IS_TOKEN_BT])


def test_packing_holds_the_real_tokens_alone():
    packing = Packing.of(IS_TOKEN_BT)
    assert torch.equal(packing.pack(VALUES_BTH), VALUES_BTH[IS_TOKEN_BT])
    assert packing.index_BT[IS_TOKEN_BT].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", [Packing, Padding])
def test_a_first_token_comes_before_each_users_others(kind):
    """Also before those of a user without any, as in the padded array written out by hand."""
    packing = kind.of(IS_TOKEN_BT)
    longer, tokens_PH = packing.with_first(FIRST_H, packing.pack(VALUES_BTH))
    expected_BTH = torch.cat([FIRST_H.expand(3, 1, 2), VALUES_BTH], dim=1)
    is_token_BT = torch.cat([torch.ones(3, 1, dtype=torch.bool), IS_TOKEN_BT], dim=1)
    unpacked_BTH = longer.unpack(tokens_PH)
    assert unpacked_BTH.shape == (3, 4, 2)
    assert torch.equal(unpacked_BTH[is_token_BT], expected_BTH[is_token_BT])
    assert torch.equal(longer.unpack(longer.pack(expected_BTH))[is_token_BT], expected_BTH[is_token_BT])
