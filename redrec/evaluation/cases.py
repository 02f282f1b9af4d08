"""Cases: who is queried for which targets, from what is known of them just before.

The known events of a case are the user's events of an earlier split (training, and validation where test is queried)
that come before the first target. A case holds places, not events: the events are read when it is its turn. The moment
of asking is that which divides the splits, or, where a user's last events are left out, that of the first target.

Shapes: U users, T targets, L events.
"""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories
from redrec.history import History, Ints

MAX_USERS = 5000  # of a scenario; more only narrow the interval
SLICES = ("cold", "light", "heavy")
NUM_COLD = 5  # known events of the queried scenario below which a user is cold: public 5-core sets have none of them


class Case(NamedTuple):
    """One user, scenario and moment: known are the events of the splits before `split` that come before `end`."""

    user: int
    target_T: Ints
    end: int
    split: int
    moment_ms: int

    def known(self, histories: Histories) -> History:
        return histories.known(self.user, self.end, self.split)


def cases_of(
    histories: Histories, scenario: int, split: int, target_window: int, max_users: int, seed: int
) -> list[Case]:
    """Return a case for each user with events of `split` in `scenario` and something known before them.

    Targets are the first distinct `target_window` items. Where more users have targets than `max_users`, the cases
    are a seeded sample; their order is random, so that the first of them are a smaller one.
    """
    users = np.random.default_rng(seed).permutation(histories.users_with_targets(scenario, split))
    cases = (_case(histories, int(user), scenario, split, target_window) for user in users)
    return list(islice((case for case in cases if len(case.known(histories).item_L)), max_users))


def _case(histories: Histories, user: int, scenario: int, split: int, target_window: int) -> Case:
    places = histories.targets(user, scenario, split)
    items = histories.item_N[places].astype(np.int64)
    first = np.sort(np.unique(items, return_index=True)[1])[:target_window]
    moment_ms = histories.begins_ms.get(split, int(histories.timestamp_ms_N[places[0]]))
    return Case(user, items[first], int(places[0]), split, moment_ms)


def without_scenario(history: History, scenario: int) -> History:
    return history.at(history.scenario_L != scenario)


def slice_of(num_known_U: Ints) -> NDArray[np.int64]:
    """Return each user's place in `SLICES`, from the number of known events of the queried scenario.

    Cold users are told by a fixed number, so that they are the same kind of user in every log; of them other scenarios
    know more than the queried one. The others are parted at their median, so that neither half is empty in a log of
    long or of short histories; those at the median are light.

    >>> slice_of(np.array([0, 4, 5, 6, 70, 80])).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    is_cold_U = num_known_U < NUM_COLD
    median = np.median(num_known_U[~is_cold_U]) if not is_cold_U.all() else 0
    return np.where(is_cold_U, 0, np.where(num_known_U <= median, 1, 2))


def padded_targets(cases: Sequence[Case]) -> Ints:
    """Return the targets as one array, `target_UT`, -1 where a user has fewer."""
    target_UT = np.full((len(cases), max([1, *(len(case.target_T) for case in cases)])), -1, dtype=np.int64)
    for target_T, case in zip(target_UT, cases, strict=True):
        target_T[: len(case.target_T)] = case.target_T
    return target_UT
