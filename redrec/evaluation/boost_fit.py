"""Boost fit: the weights of a scenario's boosts that make the validation targets most likely among their contenders.

Contenders are what could be at the top of a user's list: the user's own items, and the best by cosine and by
popularity. A target's chance is the softmax over them of `scale * cosine + boosts`. The scale is fitted too, since
towers are more certain of their training events than of later ones; weights are given relative to it, so that cosines
keep theirs. The log-likelihood is concave, so the fit has one answer. It uses every target that is a contender, also
those far from the top: a few hundred users suffice. A Gaussian prior around no boost decides where there are fewer.
All weights are at least zero (L-BFGS-B of SciPy).

Shapes: U users, X pairs of a user and a contender, C contenders of a user, F features, Q interests, D embedding.
"""

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from redrec.data.histories import VALIDATION, Histories
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.cases import Case, EvaluationConfig, cases_of
from redrec.evaluation.popularity import Popularity, last_hour
from redrec.evaluation.scorers import Scorer
from redrec.folders import DataFolder
from redrec.history import History, Ints
from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.popularity_boost import popularity_lifts
from redrec.model.boosts import OWN_COUNTS, BoostWeights, own_items

logger = logging.getLogger(__name__)

MAX_USERS = 2000  # per scenario
NUM_BEST = 100  # contenders by the cosine of each interest, and by popularity
MIN_SCALE = 0.05  # of the logit scale: towers that know nothing still order what is not boosted
PRIOR_SD = 2.0  # of a weight, in logits

Floats = NDArray[np.floating]


class Contenders(NamedTuple):
    """The contenders of all users, user after user; the features are logit, popularity and own counts."""

    features_XF: Floats
    share_X: Floats  # of the user's targets, zero for an item that is none
    begin_U: Ints  # of each user's contenders

    def log_chances(self, weights: Floats) -> Floats:
        """Return the log of each contender's chance, `log_chance_X`."""
        score_X = self.features_XF @ weights
        size_U = np.diff(self.begin_U, append=len(score_X))
        score_X -= np.repeat(np.maximum.reduceat(score_X, self.begin_U), size_U)
        return score_X - np.repeat(np.log(np.add.reduceat(np.exp(score_X), self.begin_U)), size_U)


def fit_boosts(scorer: Scorer, data: Path, config: EvaluationConfig, logit_scale: float) -> tuple[BoostWeights, ...]:
    """Return the weights of each scenario of a data folder, zero without targets; `scorer` has no boosts."""
    histories, scenarios = Histories(data), read_vocabulary(data).scenarios
    allowed_SN = is_allowed(DataFolder(data).items, scenarios)
    popularity = Popularity(histories, allowed_SN.shape[1], len(scenarios))
    fitted = []
    for s, name in enumerate(scenarios):
        cases = cases_of(histories, s, VALIDATION, config.num_targets, MAX_USERS, seed=0)
        choices = ScenarioChoices(scorer, histories, s, allowed_SN[s], popularity, logit_scale)
        scale, popular, *own = _most_likely(choices.contenders(cases))
        weights = BoostWeights(popularity=popular / scale, own=tuple(weight / scale for weight in own))
        logger.info("boosts | %s | %d users | %s", name, len(cases), _text(weights))
        fitted.append(weights)
    return tuple(fitted)


def _text(weights: BoostWeights) -> str:
    own = " ".join(f"{weight:.2f}" for weight in weights.own)
    return f"popularity {weights.popularity:.2f} | own {own}"


def _most_likely(contenders: Contenders | None) -> list[float]:
    """Return the scale of the cosine and the weights of the boosts."""
    num_boosts = 1 + len(OWN_COUNTS)
    prior = np.array([1.0] + [0.0] * num_boosts)
    if contenders is None:
        return prior.tolist()
    bounds = [(MIN_SCALE, None)] + [(0.0, None)] * num_boosts
    most_likely = minimize(_loss, prior, (contenders, prior), jac=True, method="L-BFGS-B", bounds=bounds)
    weights: list[float] = most_likely.x.tolist()
    return weights


def _loss(weights: Floats, contenders: Contenders, prior: Floats) -> tuple[float, Floats]:
    """Return minus the log of likelihood and prior, and its gradient."""
    log_chance_X, share_X = contenders.log_chances(weights), contenders.share_X
    from_prior = (weights - prior) / PRIOR_SD
    loss = 0.5 * (from_prior**2).sum() - share_X @ log_chance_X
    return loss, (np.exp(log_chance_X) - share_X) @ contenders.features_XF + from_prior / PRIOR_SD


class ScenarioChoices:
    """What the users of one scenario choose from, and what they chose."""

    def __init__(
        self,
        scorer: Scorer,
        histories: Histories,
        scenario: int,
        is_candidate_N: NDArray[np.bool_],
        popularity: Popularity,
        logit_scale: float,
    ) -> None:
        self.scorer, self.histories, self.scenario, self.logit_scale = scorer, histories, scenario, logit_scale
        self.is_candidate_N, self.popularity = is_candidate_N, popularity
        self.lifts = lru_cache(1)(self._lifts)

    def contenders(self, cases: Sequence[Case]) -> Contenders | None:
        """Return the contenders of the users who have a target among them; None if there is no such user."""
        cases = sorted(cases, key=lambda case: case.moment_ms)
        known = [case.known(self.histories) for case in cases]
        moment_ms_U = np.array([case.moment_ms for case in cases])
        if not cases:
            return None
        interests_UQD = self.scorer.interests_of(known, self.scenario, moment_ms_U)
        features, shares = [], []
        for case, history, interests_QD in zip(cases, known, interests_UQD, strict=True):
            items_C, features_CF = self._of_user(history, interests_QD, case.moment_ms)
            is_target_C = np.isin(items_C, case.target_T)
            if is_target_C.any():
                features.append(features_CF)
                shares.append(is_target_C / is_target_C.sum())
        if not features:
            return None
        begin_U = np.cumsum([0, *(len(share_C) for share_C in shares[:-1])])
        return Contenders(np.concatenate(features), np.concatenate(shares), begin_U)

    def _of_user(self, known: History, interests_QD: Floats, moment_ms: int) -> tuple[Ints, Floats]:
        """Return a user's contenders, sorted, and their features."""
        lift_N, popular = self.lifts(last_hour(moment_ms))
        own = own_items(known, self.scenario, moment_ms)
        _, nearest_QK = exact_search(interests_QD, self.scorer.embeddings_ND, NUM_BEST, self.is_candidate_N)
        items_C = np.unique(np.concatenate([own.items_T, popular, nearest_QK[nearest_QK != NO_ITEM]]))
        items_C = items_C[self.is_candidate_N[items_C]]
        features_CF = np.zeros((len(items_C), 2 + len(OWN_COUNTS)))
        embeddings_CD = self.scorer.embeddings_ND[items_C].astype(np.float32)
        features_CF[:, 0] = self.logit_scale * (interests_QD @ embeddings_CD.T).max(0)
        features_CF[:, 1] = lift_N[items_C]
        is_own_C = np.isin(items_C, own.items_T)
        features_CF[is_own_C, 2:] = own.log_counts_TF[self.is_candidate_N[own.items_T]]
        return items_C, features_CF

    def _lifts(self, hour_ms: int) -> tuple[Floats, Ints]:
        """Return each item's popularity and the most popular items."""
        lift_N = popularity_lifts(self.popularity.rates(hour_ms)[self.scenario], self.is_candidate_N)
        return lift_N, np.argsort(-lift_N, kind="stable")[:NUM_BEST]
