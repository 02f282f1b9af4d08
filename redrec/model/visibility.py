"""Visibility: which events of a history a token sees, and how far back each of them is.

A token is cut at a moment: it sees what serving would show if the user were queried there. So an event is seen from the
next moment on until it expires: with a quota, once `max_events_per_scenario` newer events of its scenario precede the
cut, otherwise once `max_events` newer ones of all scenarios do. One history can therefore be queried at many moments
in a pass. The hidden state of an event is of its own moment: it has seen what was visible then.

Distances start at 1, the newest event, and count visible events only: one distance in time and, if the policy's
positions do not run along time, one along the positions.

Shapes: B users, L events, T tokens, K = L + 1 keys (a start token that every token sees, then the events), S scenarios.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.history import HistoryConfig


class Visible(NamedTuple):
    """What some tokens see; each of `distances` is a float `distance_BTK`, arbitrary where nothing is seen."""

    is_visible_BTK: Tensor
    distances: tuple[Tensor, ...]


class Visibility:
    """The events of B users, oldest first with padding at the end."""

    def __init__(self, scenario_BL: Tensor, is_event_BL: Tensor, num_scenarios: int, config: HistoryConfig) -> None:
        self.config, self.scenario_BL, self.is_event_BL = config, scenario_BL, is_event_BL
        scenario_S = torch.arange(num_scenarios, device=scenario_BL.device)
        is_of_BLS = (scenario_BL[..., None] == scenario_S) & is_event_BL[..., None]
        self.is_of_BLS = is_of_BLS.float()  # small counts: exact, and half the memory of integers
        self.num_before_BKS = F.pad(self.is_of_BLS.cumsum(1), (0, 0, 1, 0))
        self.number_BL = self.num_before_BKS[:, :-1].gather(2, scenario_BL[..., None])[..., 0]  # in its scenario

    def from_cuts(self, cut_BT: Tensor) -> Visible:
        """Return what tokens see that are cut before event `cut_BT`, counted from 0; all events are before cut L."""
        newer_BTL = self._newer_in_scenario(cut_BT)
        index_L = torch.arange(self.scenario_BL.shape[1], device=cut_BT.device)
        is_visible_BTL = (index_L < cut_BT[..., None]) & self.is_event_BL[:, None]
        if self.config.has_quota:
            is_visible_BTL = is_visible_BTL & (newer_BTL < self.config.max_events_per_scenario)
        else:
            is_visible_BTL = is_visible_BTL & (index_L >= cut_BT[..., None] - self.config.max_events)
        visible_BTL = is_visible_BTL.float()
        num_older_BTL = visible_BTL.cumsum(2)
        num_visible_BT1 = num_older_BTL[..., -1:]
        distances = [1 + num_visible_BT1 - num_older_BTL]
        if self.config.policy == "quota_2d":
            distances.append(1 + newer_BTL)
        elif self.config.policy == "concat":
            distances.append(1 + newer_BTL + self._in_later_scenarios(visible_BTL))
        with_start = [torch.cat([1 + num_visible_BT1, distance_BTL], dim=2) for distance_BTL in distances]
        return Visible(F.pad(is_visible_BTL, (1, 0), value=True), tuple(with_start))

    def _newer_in_scenario(self, cut_BT: Tensor) -> Tensor:
        """Return how many events of the same scenario are between each event and each cut; negative after the cut."""
        cut_BTS = cut_BT[..., None].expand(-1, -1, self.num_before_BKS.shape[2])
        num_before_BTL = self.num_before_BKS.gather(1, cut_BTS) @ self.is_of_BLS.transpose(1, 2)
        return num_before_BTL - 1 - self.number_BL[:, None]

    def _in_later_scenarios(self, visible_BTL: Tensor) -> Tensor:
        """Return how many visible events are laid out behind the last one of each event's scenario."""
        num_visible_BTS = visible_BTL @ self.is_of_BLS
        num_later_BTS = num_visible_BTS.sum(2, keepdim=True) - num_visible_BTS.cumsum(2)
        return num_later_BTS @ self.is_of_BLS.transpose(1, 2)
