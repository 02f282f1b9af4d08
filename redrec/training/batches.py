"""Batches: many cut points of each history in one pass, and the targets after each cut.

A step takes B users. It takes one stretch of each user's training events and cuts it at C positions, or before every
event. A cut sees what serving would show at that moment, so the events of a row are those that the first cut sees and
all up to the last cut; `redrec.model.visibility` hides from each cut what has expired. Each cut is queried for one
scenario: that of the next event, or one that is drawn evenly among the scenarios of the user's later events, so that a
sparse scenario is trained as often as a busy one. The targets of a cut are the next W events of its scenario, and the
query time is that of the event after the cut. A split at one time asks what users choose in a while to come, so W is
`TARGET_WINDOW`; one that leaves a user's last event out asks for the next event alone, and so does training. Since
users' interests drift, older positions can be cut less often (`half_life_days`).

A step has negatives of its own for each scenario (`redrec.training.negatives`). Where lists leave out what a user has
had, that is no negative of the user's cuts after it. An item has a prior in each scenario, for the loss
(`redrec.evaluation.popularity_share`). With several processes, each encodes its share. A step depends on (seed, step)
alone and not on the number of processes, so a resumed run sees the same batches as an uninterrupted one.

Shapes: B users of this process, L events, C cuts, W targets, M distinct items, N negatives, S scenarios.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Generic, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from redrec.config import Config
from redrec.data.histories import TRAIN, VALIDATION, Histories, newest_train_ms
from redrec.history import (
    MS_PER_DAY,
    Array,
    EncodedEvents,
    EventFeatures,
    History,
    HistoryConfig,
    Ints,
    encode,
    gap_bucket,
    mix,
    padded,
)
from redrec.training.negatives import Negatives, Proposal, candidates

TARGET_WINDOW = 5  # the paper has 10


class BatchConfig(Config):
    num_users: PositiveInt = 64  # of all processes together
    num_cuts: PositiveInt | None = 24  # absent: before every event
    queried: Literal["next", "balanced"] = "next"  # scenario of a cut: the next event's, or drawn evenly
    target_window: PositiveInt | None = None  # absent: five, or the next event alone, by the split
    half_life_days: PositiveFloat | None = (
        None  # a cut's chance halves with each such age of its target; absent: all stay
    )
    num_uniform_negatives: NonNegativeInt = 512  # of a scenario
    num_popular_negatives: NonNegativeInt = 512

    @property
    def num_targets(self) -> int:
        """Return the number of targets of a cut, once it is known (`for_split`)."""
        assert self.target_window is not None
        return self.target_window

    def for_split(self, has_cutoff: bool) -> Self:
        """Return the configuration with its number of targets.

        >>> [BatchConfig().for_split(has_cutoff).num_targets for has_cutoff in (True, False)]
        [5, 1]
        """
        of_split = TARGET_WINDOW if has_cutoff else 1
        return self.model_copy(update={"target_window": self.target_window or of_split})


class Shard(NamedTuple):
    """Which rows of a step a process takes, at once or in micro-batches, and which share of the negatives."""

    rank: int = 0
    num_processes: int = 1
    micro_batch: int = 0
    num_micro_batches: int = 1


class Batch(NamedTuple, Generic[Array]):
    """One step's arrays, of numpy or of torch; item numbers index `items_M`, the batch's distinct items."""

    items_M: Array
    event_BL: Array
    events: EventFeatures[Array]
    cut_BC: Array
    scenario_BC: Array
    gap_BC: Array  # bucket of the time from the event before the cut to the query
    target_BCW: Array
    is_target_BCW: Array
    prior_BCW: Array  # what the loss adds to a target's logit
    groups: tuple[Array, ...]  # per scenario: the cuts with a target in it, as indices into B * C
    negatives: tuple[Negatives[Array], ...]  # per scenario


class CutHistory(NamedTuple):
    """One user of a step: the events that enter, the cuts among them, their queries, and their targets (-1 = none)."""

    events: EncodedEvents
    cut_C: Ints  # positions among the events that enter
    scenario_C: Ints
    gap_C: Ints
    target_CW: Ints


class Batches:
    """Draws the batch of any step.

    `counts_SN` is the training popularity of each item in each scenario, `allowed_SN` whether it may be shown there,
    `prior_SN` its logit before anything is known of the user, `excludes_seen_S` whether what a user has had is no
    negative. A scenario of at most `max_full_catalog` items has all of them as negatives. A refresh trains on the
    validation split too; of its rows the share `new_share` are cut before events of that split alone. Absent, it is no
    refresh.
    """

    def __init__(
        self,
        histories: Histories,
        counts_SN: Ints,
        allowed_SN: NDArray[np.bool_],
        prior_SN: NDArray[np.float32],
        excludes_seen_S: Sequence[bool],
        config: BatchConfig,
        history_config: HistoryConfig,
        max_full_catalog: int,
        seed: int,
        new_share: float | None = None,
    ) -> None:
        self.until = TRAIN if new_share is None else VALIDATION
        self.config = config = config.for_split(histories.has_cutoff)
        self.histories, self.history_config, self.seed = histories, history_config, seed
        self.prior_SN, self.excludes_seen_S = prior_SN, excludes_seen_S
        max_length = history_config.max_length(len(counts_SN))
        # A short one is cheap; one of twice the cuts leaves a choice of them.
        self.max_stretch = max(2 * config.num_cuts, max_length // 4) if config.num_cuts else max(2, max_length)
        self.newest_ms = newest_train_ms(histories, self.until)
        num_U, self.first_new_U = histories.num_events(self.until), np.maximum(1, histories.num_train_U)
        self.users = np.flatnonzero(num_U >= 2)  # a target needs an event before it
        self.new_users = np.flatnonzero(num_U > self.first_new_U)
        self.num_new = round(config.num_users * (new_share or 0)) if len(self.new_users) else 0
        self.shuffle = lru_cache(maxsize=4)(self._shuffled)  # a step is in one epoch or across two
        self.proposals = tuple(
            Proposal(*of_scenario, config.num_uniform_negatives, config.num_popular_negatives, max_full_catalog)
            for of_scenario in zip(counts_SN, candidates(counts_SN, allowed_SN), prior_SN, strict=True)
        )

    def draw(self, step: int, shard: Shard) -> Batch[NDArray]:
        """Return the rows of one step that belong to `shard`; each shard has rows if `num_users` suffices."""
        num_shares = shard.num_processes * shard.num_micro_batches
        share = shard.rank * shard.num_micro_batches + shard.micro_batch
        mine = np.array_split(np.arange(self.config.num_users), num_shares)[share]
        users = self._users_of(step)
        rows = [
            self._cut(
                self.histories.train_of(user, self.until),
                self.first_new_U[user] if row < self.num_new else 1,
                np.random.default_rng([self.seed, step, row]),
            )
            for row, user in zip(mine, users[mine], strict=True)
        ]
        rng = np.random.default_rng([self.seed, step])
        num_cuts = max(len(row.cut_C) for row in rows)
        drawn = [proposal.draw(rng, shard.num_processes) for proposal in self.proposals]
        target_BCW = _stacked([row.target_CW for row in rows], num_cuts, filler=-1)
        is_target_BCW = target_BCW >= 0
        scenario_BC = _stacked([row.scenario_C for row in rows], num_cuts, filler=0)
        prior_BCW = self.prior_SN[scenario_BC[..., None], target_BCW] * is_target_BCW
        row_L = np.repeat(np.arange(len(rows)), [len(row.events.item_L) for row in rows])
        entering = EncodedEvents(*map(np.concatenate, zip(*[row.events for row in rows], strict=True)))
        event_BL, events = padded(entering, row_L, len(rows))
        own = [np.split(item_N, shard.num_processes)[shard.rank] for item_N, _ in drawn]
        items_M, (event_BL, target_BCW, *own) = _indexed((event_BL, np.where(is_target_BCW, target_BCW, 0), *own))
        negatives: tuple[Negatives[NDArray], ...] = tuple(
            Negatives(own_N, offset_N, _index_in(items_M, item_N), proposal.is_full, excludes_seen)
            for own_N, (item_N, offset_N), proposal, excludes_seen in zip(
                own, drawn, self.proposals, self.excludes_seen_S, strict=True
            )
        )
        return Batch(
            items_M=items_M,
            event_BL=event_BL,
            events=events,
            cut_BC=_stacked([row.cut_C for row in rows], num_cuts, filler=0),
            scenario_BC=scenario_BC,
            gap_BC=_stacked([row.gap_C for row in rows], num_cuts, filler=0),
            target_BCW=target_BCW,
            is_target_BCW=is_target_BCW,
            prior_BCW=prior_BCW,
            groups=_groups(scenario_BC, is_target_BCW, len(self.proposals)),
            negatives=negatives,
        )

    def _users_of(self, step: int) -> Ints:
        """Return this step's users, first those that are cut before new events alone."""
        num_others = self.config.num_users - self.num_new
        return np.concatenate([self._picked(True, step, self.num_new), self._picked(False, step, num_others)])

    def _picked(self, is_new: bool, step: int, num_users: int) -> Ints:
        """Return some users: each epoch is one shuffle, an incomplete batch is filled from the next epoch."""
        picks = np.arange(step * num_users, (step + 1) * num_users)
        epoch, index = np.divmod(picks, len(self.new_users if is_new else self.users))
        return np.array([self.shuffle(is_new, int(e))[i] for e, i in zip(epoch, index, strict=True)], dtype=np.int64)

    def _shuffled(self, is_new: bool, epoch: int) -> Ints:
        users = self.new_users if is_new else self.users
        return np.random.default_rng([self.seed, epoch, 1]).permutation(users)

    def _cut(self, history: History, first: int, rng: np.random.Generator) -> CutHistory:
        """Cut one stretch of a user's events from `first` on; a cut at position p is before event p."""
        num_events = len(history.item_L)
        end = int(rng.integers(min(num_events, first - 1 + self.max_stretch), num_events + 1))
        position_C = np.arange(max(first, end - self.max_stretch + 1), min(end + 1, num_events))
        position_C = self._recent(history, position_C, rng)
        if self.config.num_cuts:
            position_C = np.sort(rng.permutation(position_C)[: self.config.num_cuts])
        scenario_C = self._queried(history, position_C, rng)
        target_CW = next_of_scenario(history, position_C, scenario_C, self.config.num_targets)
        gap_C = gap_bucket(history.timestamp_ms_L[position_C] - history.timestamp_ms_L[position_C - 1])
        kept_L = self._entering(history, position_C[0], position_C[-1])
        events = encode(history, np.zeros(num_events, dtype=np.int64), self.history_config).at(kept_L)
        return CutHistory(events, np.searchsorted(kept_L, position_C), scenario_C, gap_C, target_CW)

    def _entering(self, history: History, first: int, last: int) -> Ints:
        """Return the positions of all events that a cut from `first` to `last` sees."""
        mixed_L = mix(history.at(slice(first)), np.zeros(first, dtype=np.int64), self.history_config)
        return np.append(mixed_L, np.arange(first, last))

    def _recent(self, history: History, position_C: Ints, rng: np.random.Generator) -> Ints:
        """Leave out positions at random by the age of the event after them; if none remains, keep the newest."""
        if self.config.half_life_days is None:
            return position_C
        age_days_C = (self.newest_ms - history.timestamp_ms_L[position_C]) / MS_PER_DAY
        is_kept_C = rng.random(len(position_C)) < 0.5 ** (age_days_C / self.config.half_life_days)
        return position_C[is_kept_C] if is_kept_C.any() else position_C[-1:]

    def _queried(self, history: History, position_C: Ints, rng: np.random.Generator) -> Ints:
        if self.config.queried == "next":
            return history.scenario_L[position_C]
        last_S = np.full(len(self.proposals), -1)
        last_S[history.scenario_L] = np.arange(len(history.scenario_L))  # numpy keeps the last assignment to an index
        is_open_SC = last_S[:, None] >= position_C
        return (rng.random(is_open_SC.shape) * is_open_SC).argmax(0)


def next_of_scenario(history: History, position_C: Ints, scenario_C: Ints, window: int) -> Ints:
    """Return the next items of each cut's scenario from its position on, `target_CW`, padded with -1.

    >>> history = History(*np.array([[7, 8, 9], [0, 0, 0], [1, 0, 1], [10, 20, 30]]))
    >>> next_of_scenario(history, np.array([1, 1]), np.array([0, 1]), window=2).tolist()
    [[8, -1], [9, -1]]
    """
    target_CW = np.full((len(position_C), window), -1, dtype=np.int64)
    for scenario in np.unique(scenario_C):
        item_A = np.append(history.item_L[history.scenario_L == scenario], np.full(window, -1))
        num_before_L = np.cumsum(history.scenario_L == scenario)
        is_queried_C = scenario_C == scenario
        first_C = num_before_L[position_C[is_queried_C] - 1]
        target_CW[is_queried_C] = item_A[first_C[:, None] + np.arange(window)]
    return target_CW


def _groups(scenario_BC: Ints, is_target_BCW: NDArray[np.bool_], num_scenarios: int) -> tuple[Ints, ...]:
    """Return `Batch.groups`."""
    has_target_BC = is_target_BCW[..., 0]
    return tuple(np.flatnonzero((scenario_BC == scenario) & has_target_BC) for scenario in range(num_scenarios))


def _stacked(rows: list[Ints], num_cuts: int, filler: int) -> Ints:
    """Return the rows, each of some cuts, as one array padded to `num_cuts`."""
    filled = np.full((len(rows), num_cuts, *rows[0].shape[1:]), filler, dtype=np.int64)
    for of_row, row in zip(filled, rows, strict=True):
        of_row[: len(row)] = row
    return filled


def _indexed(arrays: tuple[Ints, ...]) -> tuple[Ints, list[Ints]]:
    """Return the distinct items of all arrays, sorted, and the arrays as indices into them."""
    items_M, where = np.unique(np.concatenate([array.ravel() for array in arrays]), return_inverse=True)
    bounds = np.cumsum([array.size for array in arrays])[:-1]
    return items_M, [i.reshape(p.shape) for i, p in zip(np.split(where, bounds), arrays, strict=True)]


def _index_in(items_M: Ints, item_N: Ints) -> Ints:
    """Return the index of each item in the sorted `items_M`, M if it is absent."""
    index_N = np.searchsorted(items_M, item_N)
    is_there_N = items_M[np.minimum(index_N, len(items_M) - 1)] == item_N
    return np.where(is_there_N, index_N, len(items_M))
