"""Repeats: how often users come back to an item that they have had.

Where they hardly ever do, a list leaves out what a user has had, and in training such an item is no negative.

Shapes: U users, X training events of some users, S scenarios.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import TRAIN, Histories
from redrec.history import Ints

MAX_REPEAT_SHARE = 0.01  # of a scenario's training events that are not a user's first


def rarely_repeats(histories: Histories, num_scenarios: int) -> NDArray[np.bool_]:
    """Return for each scenario whether hardly any of its training events is of an item that the user has had.

    An item counts as had whatever the scenario. A scenario without training events repeats, so that nothing is hidden.
    """
    later_S, repeated_S = np.zeros((2, num_scenarios), np.int64)
    for users in _user_blocks(histories):
        user_X, item_X, scenario_X = _train_events(histories, users)
        later_S += np.bincount(scenario_X[_follows_same(user_X)], minlength=num_scenarios)
        by_item_X = np.lexsort((item_X, user_X))  # stable: in time order for one user and item
        is_repeated_X = _follows_same(user_X[by_item_X], item_X[by_item_X])
        repeated_S += np.bincount(scenario_X[by_item_X][is_repeated_X], minlength=num_scenarios)
    return repeated_S < MAX_REPEAT_SHARE * later_S


def _user_blocks(histories: Histories) -> list[slice]:
    """Return slices that cover all users, for a scan in blocks of events that splits no user."""
    first_of_blocks = np.searchsorted(histories.begin_U, [block.start for block in histories.blocks()])
    bounds = np.unique(np.append(first_of_blocks, len(histories))).tolist()
    return [slice(*pair) for pair in pairwise(bounds)]


def _train_events(histories: Histories, users: slice) -> tuple[Ints, Ints, Ints]:
    """Return the user, the item and the scenario of each training event."""
    begin, end = histories.begin_U[users.start], histories.end_U[users.stop - 1]
    index_X = begin + np.flatnonzero(histories.split_N[begin:end] == TRAIN)
    return histories.users_of(index_X), histories.item_N[index_X], histories.scenario_N[index_X]


def _follows_same(*keys_X: Ints) -> NDArray[np.bool_]:
    """Return where all keys are those of the entry before."""
    is_same_X = np.logical_and.reduce([key_X[1:] == key_X[:-1] for key_X in keys_X])
    return np.append(False, is_same_X)[: len(keys_X[0])]
