"""History: a user's events as the user tower reads them; one encoding for training, evaluation and serving.

Dense mixing decides which events enter and how their positions are counted. The four policies are those of the paper's
ablation (RED-Rec, arXiv:2510.14788), which names them without formulas. In redrec they mean:

| policy     | which events enter                           | positions run along     | gap to the previous event |
|------------|----------------------------------------------|-------------------------|---------------------------|
| `sorted`   | the newest `max_events` of all scenarios     | time                    | of the user               |
| `concat`   | the newest `max_events` of all scenarios     | scenario after scenario | of the scenario           |
| `quota_1d` | the newest `max_events_per_scenario` of each | time                    | of the scenario           |
| `quota_2d` | the newest `max_events_per_scenario` of each | the scenario            | of the scenario           |

With a quota, a busy scenario cannot push out a sparse one. As served, that was worth nothing on any set that was
measured (`tests/benchmarks/quality/README.md`), so the default is `sorted`; the preset `paper` has `quota_2d`.
"Scenario after scenario" means vocabulary order, and oldest first within a scenario. An event has two encodings,
whatever else enters: the log-bucketed time since the previous event (0 for the first), and its position, counted back
from the moment of the query: one history is queried at many moments in training, and each must find it as serving
would (`redrec.model.visibility`). So the arrays are in time order in every policy; events at the same time keep their
input order. Only numpy is imported here, since the serving image has no torch.

Shapes: B users, L events, E item vector, S scenarios.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from redrec.config import Config, Record

Ints = NDArray[np.int64]
Array = TypeVar("Array")  # of numpy, or of torch in training

NUM_GAP_BUCKETS = 24  # bucket 0: no previous event; bucket b: 2**(b-1) .. 2**b minutes; the last: above 8 years
NUM_HOURS = 24
NS_PER_MS = 1_000_000
MS_PER_MINUTE = 60_000
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 86_400_000
TIE_KEY_LENGTH = 8  # hexadecimal digits


class Vocabulary(Record):
    """The fixed order of scenarios and actions; tensors hold the positions in it."""

    scenarios: tuple[str, ...]
    actions: tuple[str, ...]


class HistoryConfig(Config):
    policy: Literal["sorted", "concat", "quota_1d", "quota_2d"] = "sorted"
    max_events_per_scenario: PositiveInt = 16  # for the two policies with a quota
    max_events: PositiveInt = 48  # for the two policies without

    @property
    def has_quota(self) -> bool:
        return self.policy.startswith("quota")

    @property
    def has_gap_of_user(self) -> bool:
        """Whether an event's gap is to the user's previous event; otherwise to that of its scenario."""
        return self.policy == "sorted"

    @property
    def num_distances(self) -> int:
        """Return how many distances from a query an event has: in time, and along its positions if they differ."""
        return 1 if self.policy in ("sorted", "quota_1d") else 2

    def max_length(self, num_scenarios: int) -> int:
        """Return the most events that can enter."""
        return num_scenarios * self.max_events_per_scenario if self.has_quota else self.max_events

    @property
    def max_of_one_scenario(self) -> int:
        """Return how many events of a scenario a feature store has to keep; the oldest gives the next one its gap."""
        return 1 + (self.max_events_per_scenario if self.has_quota else self.max_events)


class History(NamedTuple):
    """A user's events, oldest first, as vocabulary and catalog indices."""

    item_L: Ints
    action_L: Ints
    scenario_L: Ints
    timestamp_ms_L: Ints

    def at(self, index: slice | Ints | NDArray[np.bool_]) -> "History":
        return History(*(values[index] for values in self))


class EncodedEvents(NamedTuple):
    """Events, user after user and oldest first: `EventFeatures` before padding, and each event's item."""

    item_L: Ints
    action_L: Ints
    scenario_L: Ints
    hour_L: Ints
    gap_L: Ints

    def at(self, index: Ints) -> "EncodedEvents":
        return EncodedEvents(*(values[index] for values in self))


class EventFeatures(NamedTuple, Generic[Array]):
    """The user tower's inputs for each event, in addition to its item vector; oldest first, padding at the end."""

    action_BL: Array
    scenario_BL: Array
    hour_BL: Array
    gap_BL: Array
    is_event_BL: Array


class TowerInputs(NamedTuple, Generic[Array]):
    """The inputs of the exported user tower, by name and in its order; `EventFeatures` are among them."""

    vectors_BLE: Array
    action_BL: Array
    scenario_BL: Array
    hour_BL: Array
    gap_BL: Array
    is_event_BL: Array
    query_scenario_B: Array
    query_gap_B: Array

    @property
    def events(self) -> EventFeatures[Array]:
        return EventFeatures(*(getattr(self, name) for name in EventFeatures._fields))


def now_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // NS_PER_MS


def tie_keys(timestamps_ms: Sequence[int], item_ids: Sequence[str]) -> list[str]:
    """Return what sorts a user's events of the same time, in training as in serving; empty texts if there are none.

    A log does not say in which order they were. By item id, a model that knows ids would learn to expect the next one;
    by a hash of the item alone, which of two items comes last. So the time is hashed too.

    >>> tie_keys([5, 5, 6], ["a", "b", "a"]), tie_keys([5, 6], ["a", "b"])
    (['bd05001e', '45bfe19d', '0b7afea1'], ['', ''])
    """
    if len(set(timestamps_ms)) == len(timestamps_ms):
        return [""] * len(timestamps_ms)  # hashing takes longer than the rest of an encoding
    texts = [f"{timestamp_ms} {item_id}" for timestamp_ms, item_id in zip(timestamps_ms, item_ids, strict=True)]
    return [hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:TIE_KEY_LENGTH] for text in texts]


def encode_history(
    item_ids: Sequence[str],
    actions: Sequence[str],
    scenarios: Sequence[str],
    timestamps_ms: Sequence[int],
    item_index: Mapping[str, int],
    vocabulary: Vocabulary,
) -> History:
    """Return the events the model knows, oldest first; ties are sorted as in training, for any input order.

    Events with an item outside the catalog, or a scenario or action outside the vocabulary, are left out, since the
    model has no vector for them.
    """
    scenario_index = {name: i for i, name in enumerate(vocabulary.scenarios)}
    action_index = {name: i for i, name in enumerate(vocabulary.actions)}
    keys = tie_keys(timestamps_ms, item_ids)
    oldest_first = sorted(zip(timestamps_ms, keys, item_ids, scenarios, actions, strict=True))
    known = [
        (item_index[item], action_index[action], scenario_index[scenario], timestamp)
        for timestamp, _, item, scenario, action in oldest_first
        if item in item_index and action in action_index and scenario in scenario_index
    ]
    return History(*np.array(known, dtype=np.int64).reshape(-1, 4).T)


def joined(histories: Sequence[History]) -> tuple[History, Ints]:
    """Return the events of B users, user after user, and the user of each event, `user_L`."""
    user_L = np.repeat(np.arange(len(histories)), [len(history.item_L) for history in histories])
    return History(*(np.concatenate(values) for values in zip(*histories, strict=True))), user_L


def mix(history: History, user_L: Ints, config: HistoryConfig) -> Ints:
    """Return the positions of the events that enter, in their given order; `history` holds user after user.

    >>> history = History(*np.array([[7, 8, 9, 5], [0, 0, 0, 0], [1, 0, 1, 1], [10, 20, 30, 40]]))
    >>> for policy in ("sorted", "concat", "quota_1d", "quota_2d"):
    ...     config = HistoryConfig(policy=policy, max_events=3, max_events_per_scenario=1)
    ...     mix(history, np.zeros(4, int), config).tolist()
    [1, 2, 3]
    [1, 2, 3]
    [1, 3]
    [1, 3]
    """
    if len(user_L) <= (config.max_events_per_scenario if config.has_quota else config.max_events):
        return np.arange(len(user_L))
    if not config.has_quota:
        return np.flatnonzero(_age(user_L) < config.max_events)
    group_L = _scenario_of_user(history, user_L)
    by_group_L = np.argsort(group_L, kind="stable")
    return np.sort(by_group_L[_age(group_L[by_group_L]) < config.max_events_per_scenario])


def encode(history: History, user_L: Ints, config: HistoryConfig) -> EncodedEvents:
    """Return all events encoded; encode before `mix`, since a gap may be to an event that does not enter."""
    hour_L = history.timestamp_ms_L // MS_PER_HOUR % NUM_HOURS
    if config.has_gap_of_user:
        gap_L = _gaps(user_L, history.timestamp_ms_L)
    else:
        group_L, gap_L = _scenario_of_user(history, user_L), np.empty_like(user_L)
        by_group_L = np.argsort(group_L, kind="stable")
        gap_L[by_group_L] = _gaps(group_L[by_group_L], history.timestamp_ms_L[by_group_L])
    return EncodedEvents(history.item_L, history.action_L, history.scenario_L, hour_L, gap_L)


def _gaps(group_L: Ints, timestamp_ms_L: Ints) -> Ints:
    """Return the bucket of the time since the previous event of the same group, 0 for its first; groups are sorted."""
    gap_L = np.zeros_like(group_L)
    gap_L[1:] = gap_bucket(timestamp_ms_L[1:] - timestamp_ms_L[:-1]) * (group_L[1:] == group_L[:-1])
    return gap_L


def _scenario_of_user(history: History, user_L: Ints) -> Ints:
    """Return one number for each pair of a user and a scenario; it grows by user, then scenario."""
    return user_L * (1 + history.scenario_L.max(initial=0)) + history.scenario_L


def _begins(group_L: Ints) -> Ints:
    """Return the first index of each event's group; `group_L` is sorted."""
    return np.searchsorted(group_L, group_L)


def _age(group_L: Ints) -> Ints:
    """Return how many events of the same group come after each event; `group_L` is sorted."""
    return np.searchsorted(group_L, group_L, side="right") - 1 - np.arange(len(group_L))


def gap_bucket(gap_ms: Ints) -> Ints:
    """Return the log2 bucket of a time gap in minutes, from 1 up; below two minutes is bucket 1.

    >>> gap_bucket(np.array([0, 60_000, 120_000, 3_600_000])).tolist()
    [1, 1, 2, 6]
    """
    minutes = np.maximum(gap_ms // MS_PER_MINUTE, 1)
    return np.minimum(np.log2(minutes).astype(np.int64) + 1, NUM_GAP_BUCKETS - 1)


def padded(events: EncodedEvents, user_L: Ints, num_users: int) -> tuple[Ints, EventFeatures[NDArray]]:
    """Return `item_BL` and the features as B rows, zero-padded at the end to the longest; L is at least 1."""
    length = max(1, int(np.bincount(user_L, minlength=1).max()))
    rows = [*events, np.ones(len(user_L), dtype=bool)]
    if len(user_L) < num_users * length:  # one user needs no padding
        at_L = user_L * length + np.arange(len(user_L)) - _begins(user_L)
        rows = [_spread(values_L, at_L, num_users * length) for values_L in rows]
    item_BL, *features = [row.reshape(num_users, length) for row in rows]
    return item_BL, EventFeatures(*features)


def _spread(values_L: NDArray, at_L: Ints, size: int) -> NDArray:
    """Return an array of this size with the values at these positions, and zeros between them."""
    spread = np.zeros(size, dtype=values_L.dtype)
    spread[at_L] = values_L
    return spread


def tower_inputs(
    histories: Sequence[History],
    query_scenario_B: Sequence[int] | Ints,
    moment_ms_B: Sequence[int] | Ints,
    vectors_NE: NDArray[np.floating],
    config: HistoryConfig,
) -> TowerInputs[NDArray]:
    """Return the exported user tower's inputs for B users, each queried for one scenario at one moment.

    A user without events is a row of padding; L is at least 1.
    """
    history, user_L = joined(histories)
    gap_B = _query_gap(histories, np.asarray(moment_ms_B, dtype=np.int64))
    encoded, kept_L = encode(history, user_L, config), mix(history, user_L, config)
    user_L = user_L[kept_L]
    item_BL, events = padded(encoded.at(kept_L), user_L, len(histories))
    vectors_BLE = np.asarray(vectors_NE).take(item_BL, axis=0).astype(np.float32) * events.is_event_BL[..., None]
    return TowerInputs(vectors_BLE, *events, np.asarray(query_scenario_B, dtype=np.int64), gap_B)


def _query_gap(histories: Sequence[History], moment_ms_B: Ints) -> Ints:
    """Return the bucket of the time from each user's newest event to the moment of the query, 0 without events."""
    has_events_B = [len(history.item_L) > 0 for history in histories]
    newest_ms_B = [history.timestamp_ms_L[-1] if len(history.item_L) else 0 for history in histories]
    return gap_bucket(moment_ms_B - newest_ms_B) * has_events_B
