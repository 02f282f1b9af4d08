"""Cases: which user is queried for which targets, given the events that are known just before.

The known events of a case are the user's events of an earlier split (training, and validation if test is queried)
that come before the first target. A case holds offsets, not events: the events are read when the case is ranked. The
moment of the query is the start of the split; if a user's last events are the split, it is that of the first target.

Shapes: U users, T targets, L events.
"""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from redrec.config import Config
from redrec.data.histories import Histories
from redrec.history import History, Ints

MAX_USERS = 5000  # per scenario; more only narrow the interval
SLICES = ("cold", "light", "heavy")
NUM_COLD = 5  # a user with fewer known events of the queried scenario is cold: public 5-core sets have none of them


class EvaluationConfig(Config):
    """Of test and validation alike, whatever window the model was trained on: runs stay comparable."""

    num_targets: PositiveInt = 10  # of a user in a scenario, the first after the moment of the query


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
    histories: Histories, scenario: int, split: int, num_targets: int, max_users: int, seed: int
) -> list[Case]:
    """Return a case for each user with events of `split` in `scenario` and known events before them.

    Targets are the first distinct `num_targets` items. If more than `max_users` users have targets, the cases are a
    seeded sample; their order is random, so the first cases are a smaller sample.
    """
    users = np.random.default_rng(seed).permutation(histories.users_with_targets(scenario, split))
    cases = (_case(histories, int(user), scenario, split, num_targets) for user in users)
    return list(islice((case for case in cases if len(case.known(histories).item_L)), max_users))


def _case(histories: Histories, user: int, scenario: int, split: int, num_targets: int) -> Case:
    offset_T = histories.targets(user, scenario, split)
    item_T = histories.item_N[offset_T].astype(np.int64)
    first = np.sort(np.unique(item_T, return_index=True)[1])[:num_targets]
    moment_ms = histories.begins_ms.get(split, int(histories.timestamp_ms_N[offset_T[0]]))
    return Case(user, item_T[first], int(offset_T[0]), split, moment_ms)


def without_scenario(history: History, scenario: int) -> History:
    return history.at(history.scenario_L != scenario)


def slice_of(num_known_U: Ints) -> NDArray[np.int64]:
    """Return each user's index in `SLICES`, from the number of known events of the queried scenario.

    The limit of cold users is a fixed number, so that they are comparable between logs; more is known of them in other
    scenarios than in the queried one. The median of the others separates light from heavy users, so that neither half
    is empty in a log of long or of short histories; users at the median are light.

    >>> slice_of(np.array([0, 4, 5, 6, 70, 80])).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    is_cold_U = num_known_U < NUM_COLD
    median = np.median(num_known_U[~is_cold_U]) if not is_cold_U.all() else 0
    return np.where(is_cold_U, 0, np.where(num_known_U <= median, 1, 2))


def padded_targets(cases: Sequence[Case]) -> Ints:
    """Return the targets as one array, `target_UT`, padded with -1."""
    max_targets = max((len(case.target_T) for case in cases), default=1)
    target_UT = np.full((len(cases), max_targets), -1, dtype=np.int64)
    for target_T, case in zip(target_UT, cases, strict=True):
        target_T[: len(case.target_T)] = case.target_T
    return target_UT
