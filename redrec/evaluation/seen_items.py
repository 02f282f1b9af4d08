"""Seen items: whether a scenario leaves out what a user has had, decided on the validation split.

Where users come back to the same items, as in groceries, a list without them misses most of what they take. Where they
do not, an item that they have had is a wasted place in the list. The training split has said that they do, now and
then, in a scenario that is decided here, so leaving them out has to pay beyond chance: a few users decide nothing.
"""

import logging
from collections.abc import Sequence

import numpy as np

from redrec.data.histories import VALIDATION
from redrec.evaluation.cases import EvaluationConfig, cases_of
from redrec.evaluation.metrics import hit_rate
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import Ranks, rank_cases
from redrec.evaluation.scorers import Scorer

logger = logging.getLogger(__name__)

MAX_USERS = 2000  # per scenario
NUM_SD = 2  # standard deviations that more users must gain than lose
LIST_LENGTH = 10


def exclusions(
    scorer: Scorer,
    popularity: Popularity,
    scenarios: Sequence[str],
    config: EvaluationConfig,
    excludes_seen_S: Sequence[bool],
) -> list[bool]:
    """Return for each scenario whether its validation users gain by it; `scorer` has the boosts.

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
    """Return whether lists without the seen items find a target for more users, beyond what chance gives.

    Users have an unseen target behind two seen items and find it in the shorter list, but one loses a seen target:

    >>> import numpy as np
    >>> none, loses = np.empty(0), np.array([[3], [0]])
    >>> for num_users in (6, 8):
    ...     of_others = np.repeat([[12], [10]], num_users, axis=1)[..., None]
    ...     excludes_seen(Ranks(*np.concatenate([of_others, loses[:, None]], axis=1), none, none))
    False
    True
    """
    hits_U, hits_unseen_U = (hit_rate(rank_UT, LIST_LENGTH) for rank_UT in (ranks.rank_UT, ranks.rank_unseen_UT))
    num_gain, num_lose = int((hits_unseen_U & ~hits_U).sum()), int((hits_U & ~hits_unseen_U).sum())
    return num_gain - num_lose > NUM_SD * (num_gain + num_lose) ** 0.5  # as of a fair coin for each of them
