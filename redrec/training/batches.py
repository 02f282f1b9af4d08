"""Batches: many cut points of each history in one pass, and the targets after each cut.

A step takes B users. Of each it takes one window of the training events and draws C cuts in it; each cut is
asked one scenario, drawn evenly among those in which the user still acts, so a sparse scenario is trained as
often as a busy one. The targets of a cut are the next W events of its scenario. A batch depends on (seed, step)
alone, so a resumed run sees what an uninterrupted one would have seen.

Shapes: B users, L events, C cuts, W targets, M distinct items of the batch, N negatives.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveInt

from redrec.config import Config
from redrec.data.histories import Histories, train_counts  # noqa: F401  train_counts is read from here
from redrec.model.history import History, HistoryConfig, Ints, layout, mix, padded



class BatchConfig(Config):
    num_users: PositiveInt = 128
    num_cuts: PositiveInt = 4
    target_window: PositiveInt = 5  # the paper has 10
    num_uniform_negatives: NonNegativeInt = 512
    num_popular_negatives: NonNegativeInt = 512


class Example(NamedTuple):
    """One user of a step: the layout, cuts (in kept events), their scenarios and targets (-1 = none)."""

    events: dict[str, Ints]
    cut_C: Ints
    scenario_C: Ints
    target_CW: Ints


class Batch(NamedTuple):
    """One step's arrays; item numbers index `items_M`, the batch's distinct items."""

    items_M: Ints
    event_BL: Ints
    events: dict[str, NDArray]
    cut_BC: Ints
    scenario_BC: Ints
    target_BCW: Ints
    is_target_BCW: NDArray[np.bool_]
    negative_N: Ints
    log_count_N: NDArray[np.float32]


class Batches:
    """Draws the batch of any step; `counts_SN` is the training popularity of the catalog in each scenario."""

    def __init__(
        self,
        histories: Histories,
        counts_SN: Ints,
        config: BatchConfig,
        history_config: HistoryConfig,
        seed: int,
    ) -> None:
        self.histories, self.config, self.history_config, self.seed = histories, config, history_config, seed
        self.max_window = len(counts_SN) * history_config.max_events_per_scenario
        self.users = np.flatnonzero(histories.num_train_U >= 2)  # a target needs an event before it
        self.shuffle = lru_cache(maxsize=2)(self._shuffled)  # a step lies in one epoch or across two
        # Targets are drawn evenly over the scenarios, and so is the popularity proposal.
        share_SN = counts_SN / np.maximum(counts_SN.sum(1, keepdims=True), 1)
        self.popularity_N = np.cumsum(share_SN.mean(0))
        self.popularity_N /= self.popularity_N[-1]
        popular_N = config.num_popular_negatives * np.diff(self.popularity_N, prepend=0.0)
        uniform = config.num_uniform_negatives / counts_SN.shape[1]
        self.log_count_N = np.log(popular_N + uniform + 1e-12).astype(np.float32)

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        rows = [self._example(self.histories.train_of(user), rng) for user in self._users_of(step)]
        events = padded([row.events for row in rows], self.max_window)
        cut_BC, scenario_BC = np.stack([row.cut_C for row in rows]), np.stack([row.scenario_C for row in rows])
        target_BCW = np.stack([row.target_CW for row in rows])
        is_target_BCW = target_BCW >= 0
        negative_N = self._negatives(rng)

        event_BL = events.pop("item_BL")
        parts = (event_BL, np.where(is_target_BCW, target_BCW, 0), negative_N)
        items_M, where = np.unique(np.concatenate([part.ravel() for part in parts]), return_inverse=True)
        bounds = np.cumsum([part.size for part in parts])[:-1]
        event_BL, target_BCW, negative_index_N = (
            index.reshape(part.shape) for index, part in zip(np.split(where, bounds), parts, strict=True)
        )
        return Batch(
            items_M, event_BL, events, cut_BC, scenario_BC, target_BCW, is_target_BCW, negative_index_N,
            self.log_count_N[negative_N],
        )  # fmt: skip

    def _users_of(self, step: int) -> Ints:
        """Return this step's users: each epoch is one shuffle, an incomplete batch goes on into the next."""
        first = step * self.config.num_users
        picks = np.arange(first, first + self.config.num_users)
        epoch, place = np.divmod(picks, len(self.users))
        return np.array([self.shuffle(int(e))[p] for e, p in zip(epoch, place, strict=True)])

    def _shuffled(self, epoch: int) -> Ints:
        return np.random.default_rng([self.seed, epoch, 1]).permutation(self.users)

    def _example(self, history: History, rng: np.random.Generator) -> Example:
        num_events, config = len(history.item_L), self.config
        end = int(rng.integers(min(num_events, self.max_window), num_events + 1))
        kept_L = mix(history.until(end), self.history_config)
        oldest_first_L = np.sort(kept_L)
        begin = oldest_first_L[0] + 1
        positions_C = rng.integers(begin, max(begin + 1, min(end + 1, num_events)), size=config.num_cuts)
        of_scenario = {s: np.flatnonzero(history.scenario_L == s) for s in np.unique(history.scenario_L)}
        scenario_C = np.zeros(config.num_cuts, dtype=np.int64)
        target_CW = np.full((config.num_cuts, config.target_window), -1, dtype=np.int64)
        for cut, position in enumerate(positions_C):
            scenario_C[cut] = rng.choice([s for s, at_L in of_scenario.items() if at_L[-1] >= position])
            at_L = of_scenario[scenario_C[cut]]
            first = np.searchsorted(at_L, position)
            next_W = at_L[first : first + config.target_window]
            target_CW[cut, : len(next_W)] = history.item_L[next_W]
        cut_C = np.searchsorted(oldest_first_L, positions_C)
        return Example(layout(history, kept_L), cut_C, scenario_C, target_CW)

    def _negatives(self, rng: np.random.Generator) -> Ints:
        uniform = rng.integers(len(self.log_count_N), size=self.config.num_uniform_negatives)
        popular = np.searchsorted(self.popularity_N, rng.random(self.config.num_popular_negatives), side="right")
        return np.concatenate([uniform, popular])
