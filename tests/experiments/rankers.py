"""Two rankers of one catalog, and users who click: on what either ranker shows alone, or on lists of both.

A user's appeal and number of requests have heavy tails. A click needs that the position is looked at, and that the item is
relevant. A ranker sees an item's relevance with an error, of which a share is common to both rankers.

Shapes: R requests, U users, M candidates of a request, K positions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.experiments.interleaving import Credits
from redrec.experiments.team_draft import CONTROL, TREATMENT, Drafted, team_draft

NUM_CANDIDATES = 40
K = 10
CLICK_RATE = 0.05  # of an item of mean relevance at the first position, by a user of mean appeal
LOOKED_AT_K = 1 / np.arange(1, K + 1) ** 0.7
COMMON_ERROR = 0.8  # standard deviation


class Requests(NamedTuple):
    user_R: NDArray[np.int64]
    rate_RM: NDArray[np.float64]  # of clicks on a candidate at the first position
    control_RK: NDArray[np.int64]
    treatment_RK: NDArray[np.int64]


def requests(rng: np.random.Generator, num_users: int, control_error: float, treatment_error: float) -> Requests:
    """Return the requests of users; the errors are standard deviations of what is each ranker's own error."""
    num_U = 1 + rng.poisson(rng.lognormal(0.5, 0.8, num_users))
    user_R = np.repeat(np.arange(num_users), num_U)
    appeal_U = rng.lognormal(-(0.7**2) / 2, 0.7, num_users)
    relevance_RM = rng.normal(size=(len(user_R), NUM_CANDIDATES))
    seen_RM = relevance_RM + COMMON_ERROR * rng.normal(size=relevance_RM.shape)
    rankings = [
        np.argsort(-(seen_RM + error * rng.normal(size=seen_RM.shape)), axis=1)[:, :K]
        for error in (control_error, treatment_error)
    ]
    rate_RM = CLICK_RATE * appeal_U[user_R, None] * np.exp(0.7 * relevance_RM)
    return Requests(user_R, rate_RM, *rankings)


def clicks_alone(rng: np.random.Generator, shown: Requests, ranking_RK: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the clicks of each request on the list of one ranker."""
    return _is_clicked(rng, shown.rate_RM, ranking_RK).sum(axis=1)


def click_rates(shown: Requests, ranking_RK: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the expected clicks of each request on the list of one ranker."""
    return _rates(shown.rate_RM, ranking_RK).sum(axis=1)


def drafts(shown: Requests, seed: int) -> list[list[Drafted]]:
    """Return the interleaved list of each request; an item's id is its number among the candidates."""
    lists = zip(shown.control_RK.astype(str).tolist(), shown.treatment_RK.astype(str).tolist(), strict=True)
    return [team_draft(*both, K, f"{seed}:{request}") for request, both in enumerate(lists)]


def teams_of(lists: list[list[Drafted]]) -> NDArray[np.int64]:
    """Return 0 for the control's items, 1 for the treatment's and -1 for those of no team, `team_RK`."""
    numbers = {CONTROL: 0, TREATMENT: 1, None: -1}
    return np.array([[numbers[one.team] for one in drafted] for drafted in lists])


def clicks_on_both(rng: np.random.Generator, shown: Requests, *, is_shuffled: bool = False) -> Credits:
    """Return each user's credits from interleaved lists; shuffled, a click credits either team at random."""
    lists = drafts(shown, int(rng.integers(2**31)))
    ranking_RK, team_RK = np.array([[one.item_id for one in drafted] for drafted in lists], int), teams_of(lists)
    if is_shuffled:
        team_RK = np.where(team_RK >= 0, rng.integers(2, size=team_RK.shape), -1)
    return credits_of(shown.user_R, team_RK, _is_clicked(rng, shown.rate_RM, ranking_RK))


def credits_of(user_R: NDArray[np.int64], team_RK: NDArray[np.int64], is_clicked_RK: NDArray[np.bool_]) -> Credits:
    num_users = int(user_R[-1]) + 1
    credit_2U = np.array(
        [np.bincount(user_R, ((team_RK == team) & is_clicked_RK).sum(axis=1), minlength=num_users) for team in (0, 1)]
    )
    return Credits(*credit_2U[:, credit_2U.sum(axis=0) > 0], num_users)


def _is_clicked(rng, rate_RM, ranking_RK) -> NDArray[np.bool_]:
    return rng.random(ranking_RK.shape) < _rates(rate_RM, ranking_RK)


def _rates(rate_RM: NDArray[np.float64], ranking_RK: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.take_along_axis(rate_RM, ranking_RK, axis=1) * LOOKED_AT_K
