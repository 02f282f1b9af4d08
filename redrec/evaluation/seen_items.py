"""Seen items: whether a scenario leaves out what a user has had, decided on the validation split.

Where users come back to the same items, as in groceries, a list without them misses most of what they take. Where they
do not, an item that they have had is a wasted place in the list.
"""

import logging
from collections.abc import Sequence

import numpy as np

from redrec.data.histories import VALIDATION
from redrec.evaluation.cases import EvaluationConfig, cases_of
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import Ranks, rank_cases
from redrec.evaluation.scorers import Scorer
from redrec.history import Ints

logger = logging.getLogger(__name__)

MAX_USERS = 2000  # per scenario
LIST_LENGTH = 10


def exclusions(
    scorer: Scorer,
    popularity: Popularity,
    scenarios: Sequence[str],
    config: EvaluationConfig,
    excludes_seen_S: Sequence[bool],
) -> list[bool]:
    """Return for each scenario whether its validation users lose nothing by it; `scorer` has the boosts.

    Of the events that `popularity` counts. A scenario that leaves them out by its training split (`excludes_seen_S`)
    is not looked at.
    """
    histories, allowed_SN = popularity.histories, popularity.allowed_SN
    decided_S = list(excludes_seen_S)
    for s in np.flatnonzero(np.logical_not(decided_S)).tolist():
        cases = cases_of(histories, s, VALIDATION, config.num_targets, MAX_USERS, seed=0)
        decided_S[s] = excludes_seen(rank_cases(scorer, histories, cases, s, allowed_SN[s]))
        text = "left out" if decided_S[s] else "shown"
        logger.info("seen items | %s | %d users | %s", scenarios[s], len(cases), text)
    return decided_S


def excludes_seen(ranks: Ranks) -> bool:
    """Return whether lists without the seen items hit a target of as many users or more.

    One user has an unseen target behind two seen items and finds it in the shorter list; another loses a seen target:

    >>> import numpy as np
    >>> none = np.empty(0)
    >>> excludes_seen(Ranks(np.array([[12]]), np.array([[10]]), none, none))
    True
    >>> excludes_seen(Ranks(np.array([[3]]), np.array([[0]]), none, none))
    False
    """
    return len(ranks.rank_UT) > 0 and _num_hit(ranks.rank_unseen_UT) >= _num_hit(ranks.rank_UT)


def _num_hit(rank_UT: Ints) -> int:
    return int(((rank_UT > 0) & (rank_UT <= LIST_LENGTH)).any(1).sum())
