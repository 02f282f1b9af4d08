"""Histories as the user tower reads them: one encoding for training, evaluation and serving.

Dense mixing decides which events enter and in which order. Policy `quota_2d` keeps the newest
`max_events_per_scenario` events of each scenario, so that a busy scenario cannot push out a sparse one,
and lays them out scenario after scenario in vocabulary order, oldest first inside a scenario
(RED-Rec, arXiv:2510.14788, section on the two-dimensional mixing policy).

Two encodings go with an event: its index inside its scenario's segment, and the log-bucketed time since the
previous event of that scenario. Time order across scenarios is kept beside the layout, in `order_L`: the
user tower's mask and its relative bias follow time, never the layout. Ties in time keep the order in which
the events came. Only numpy is imported here, since the serving image has no torch.

Shapes: B users, L events, E item vector, S scenarios.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from redrec.config import Config

Ints = NDArray[np.int64]

NUM_GAP_BUCKETS = (
    24  # bucket 0: no previous event; bucket b: 2**(b-1) .. 2**b minutes; the last holds all above 8 years
)
NUM_HOURS = 24
MS_PER_MINUTE = 60_000
MS_PER_HOUR = 3_600_000


class Vocabulary(Config):
    """The fixed order of scenarios and actions; an index in a tensor is a position here."""

    scenarios: tuple[str, ...]
    actions: tuple[str, ...]


class HistoryConfig(Config):
    policy: Literal["quota_2d"] = "quota_2d"
    max_events_per_scenario: PositiveInt = 16


class History(NamedTuple):
    """A user's events, oldest first, as vocabulary and catalog indices."""

    item_L: Ints
    action_L: Ints
    scenario_L: Ints
    timestamp_ms_L: Ints

    def until(self, end: int) -> "History":
        return History(*(values[:end] for values in self))


def encode_history(
    item_ids: Sequence[str],
    actions: Sequence[str],
    scenarios: Sequence[str],
    timestamps_ms: Sequence[int],
    item_index: Mapping[str, int],
    vocabulary: Vocabulary,
) -> History:
    """Return the events the model knows, oldest first.

    Events of items outside the catalog, or of scenarios or actions outside the vocabulary, are left out: the
    model has no vector for them.
    """
    scenario_index = {name: i for i, name in enumerate(vocabulary.scenarios)}
    action_index = {name: i for i, name in enumerate(vocabulary.actions)}
    known = [
        (item_index[item], action_index[action], scenario_index[scenario], timestamp)
        for item, action, scenario, timestamp in zip(item_ids, actions, scenarios, timestamps_ms, strict=True)
        if item in item_index and action in action_index and scenario in scenario_index
    ]
    events_L4 = np.array(known, dtype=np.int64).reshape(-1, 4)
    oldest_first_L = np.argsort(events_L4[:, 3], kind="stable")
    return History(*events_L4[oldest_first_L].T)


def mix(history: History, config: HistoryConfig) -> Ints:
    """Return the positions of the kept events in `history`, in `quota_2d` layout.

    >>> history = History(*np.array([[7, 8, 9], [0, 0, 0], [1, 0, 1], [10, 20, 30]]))
    >>> mix(history, HistoryConfig(max_events_per_scenario=1)).tolist()
    [1, 2]
    """
    by_scenario_L = np.argsort(history.scenario_L, kind="stable")
    scenario_L = history.scenario_L[by_scenario_L]
    last_of_scenario_L = np.searchsorted(scenario_L, scenario_L, side="right") - 1
    age_L = last_of_scenario_L - np.arange(len(scenario_L))  # 0: the newest event of its scenario
    return by_scenario_L[age_L < config.max_events_per_scenario]


def layout(history: History, kept_L: Ints) -> dict[str, Ints]:
    """Return the tower's integer inputs for the kept events of one user, each of length L."""
    scenario_L, timestamp_ms_L = history.scenario_L[kept_L], history.timestamp_ms_L[kept_L]
    first_of_scenario_L = np.searchsorted(scenario_L, scenario_L, side="left")
    position_L = np.arange(len(kept_L)) - first_of_scenario_L
    order_L = np.empty(len(kept_L), dtype=np.int64)
    order_L[np.argsort(kept_L, kind="stable")] = np.arange(len(kept_L))
    return {
        "item_L": history.item_L[kept_L],
        "action_L": history.action_L[kept_L],
        "scenario_L": scenario_L,
        "hour_L": timestamp_ms_L // MS_PER_HOUR % NUM_HOURS,
        "gap_L": np.where(position_L > 0, gap_bucket(np.diff(timestamp_ms_L, prepend=0)), 0),
        "position_L": position_L,
        "order_L": order_L,
    }


def gap_bucket(gap_ms: Ints) -> Ints:
    """Return the log2 bucket of a time gap in minutes, from 1 up; below two minutes is bucket 1.

    >>> gap_bucket(np.array([0, 60_000, 120_000, 3_600_000])).tolist()
    [1, 1, 2, 6]
    """
    minutes = np.maximum(gap_ms // MS_PER_MINUTE, 1)
    return np.minimum(np.log2(minutes).astype(np.int64) + 1, NUM_GAP_BUCKETS - 1)


def padded(rows: Sequence[dict[str, Ints]], length: int) -> dict[str, Ints]:
    """Stack the layouts of B users into `[B, length]` arrays, zero-padded at the end, with `is_event_BL`."""
    batch = {f"{name[:-1]}BL": np.zeros((len(rows), length), dtype=np.int64) for name in rows[0]}
    is_event_BL = np.zeros((len(rows), length), dtype=bool)
    for b, row in enumerate(rows):
        num_events = len(row["item_L"])
        is_event_BL[b, :num_events] = True
        for name, values_L in row.items():
            batch[f"{name[:-1]}BL"][b, :num_events] = values_L
    return {**batch, "is_event_BL": is_event_BL}


def tower_inputs(
    histories: Sequence[History],
    query_scenario_B: Sequence[int] | Ints,
    vectors_NE: NDArray[np.floating],
    config: HistoryConfig,
) -> dict[str, NDArray]:
    """Return what the exported user tower takes for B users, each asked for one scenario.

    A user without events is a row of padding; L is at least 1.
    """
    rows = [layout(history, mix(history, config)) for history in histories]
    batch = padded(rows, max([1, *(len(row["item_L"]) for row in rows)]))
    item_BL = batch.pop("item_BL")
    vectors_BLE = vectors_NE[item_BL].astype(np.float32) * batch["is_event_BL"][..., None]
    return {"vectors_BLE": vectors_BLE, **batch, "query_scenario_B": np.asarray(query_scenario_B, dtype=np.int64)}
