"""Packing: the real tokens of a batch one after the other, so that only attention computes on padding.

With short histories most of a padded batch is padding, and most positions for cuts are empty. An exported graph has
fixed operations and computes on all of it (`Padding`); training does not (`Packing`). Both have the same four methods.

Shapes: B users, T positions of a user, P packed tokens, H hidden, `*` any further axes.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor


class Packing:
    """The tokens at some positions of each user, in order of users; `index_BT` is the index of each position's token.

    Positions without a token get an arbitrary one, which must not be read.
    """

    def __init__(self, at_P: Tensor, num_users: int, num_positions: int) -> None:
        self.at_P = at_P
        index_X = torch.zeros(num_users * num_positions, dtype=torch.long, device=at_P.device)
        index_X[at_P] = torch.arange(len(at_P), device=at_P.device)
        self.index_BT = index_X.view(num_users, num_positions)

    @classmethod
    def of(cls, is_token_BT: Tensor) -> Self:
        return cls(is_token_BT.flatten().nonzero()[:, 0], *is_token_BT.shape)

    def pack(self, values_BT: Tensor) -> Tensor:
        """Return the values of the real tokens, from `values_BT*` to `values_P*`."""
        return values_BT.flatten(0, 1).index_select(0, self.at_P)

    def unpack(self, tokens_P: Tensor) -> Tensor:
        """Return each token at its position, from `tokens_P*` to `tokens_BT*`."""
        return tokens_P.index_select(0, self.index_BT.flatten()).unflatten(0, self.index_BT.shape)

    def with_first(self, first_H: Tensor, tokens_PH: Tensor) -> tuple["Packing", Tensor]:
        """Return the packing and the tokens with `first_H` at a new first position of each user."""
        num_users, num_positions = self.index_BT.shape
        first_B = torch.arange(num_users, device=self.at_P.device) * (num_positions + 1)
        at_P = torch.cat([first_B, self.at_P + self.at_P // num_positions + 1])
        return Packing(at_P, num_users, num_positions + 1), torch.cat([first_H.expand(num_users, -1), tokens_PH])


class Padding:
    """All positions, with or without a token."""

    def __init__(self, shape: torch.Size, device: torch.device) -> None:
        self.index_BT = torch.arange(shape[0] * shape[1], device=device).unflatten(0, shape)

    @classmethod
    def of(cls, is_token_BT: Tensor) -> Self:
        return cls(is_token_BT.shape, is_token_BT.device)

    def pack(self, values_BT: Tensor) -> Tensor:
        return values_BT.flatten(0, 1)

    def unpack(self, tokens_P: Tensor) -> Tensor:
        return tokens_P.unflatten(0, self.index_BT.shape)

    def with_first(self, first_H: Tensor, tokens_PH: Tensor) -> tuple["Padding", Tensor]:
        tokens_BTH = self.unpack(tokens_PH)
        tokens_BTH = torch.cat([first_H.expand(tokens_BTH.shape[0], 1, -1), tokens_BTH], dim=1)
        return Padding(tokens_BTH.shape[:2], tokens_BTH.device), tokens_BTH.flatten(0, 1)


class PackedTokens(NamedTuple):
    """Tokens and their cuts: a token sees events before its cut, see `redrec.model.visibility`."""

    hidden_PH: Tensor
    packing: Packing | Padding
    cut_BT: Tensor
