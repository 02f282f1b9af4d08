"""Ranker fit: what users of the validation split chose among their contenders, and the ranker that is learned from it.

Shapes: U users, C contenders, F features, N items, S scenarios.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from redrec.data.histories import TRAIN, VALIDATION, Histories, first_ms
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.cases import Case, EvaluationConfig, cases_of
from redrec.evaluation.contenders import contenders, popular_boosts, queries_of
from redrec.evaluation.scorers import Scorer
from redrec.folders import DataFolder
from redrec.index.ranker import FEATURES, Networks, Ranker
from redrec.training.ranker_networks import MIN_USERS, NUM_HIDDEN, Observed, fit_networks

logger = logging.getLogger(__name__)

MAX_USERS = 5000  # per scenario
MAX_USERS_IN_ALL = 20_000  # 80 contenders of each take 110 MB, three times over during the fit


class User(NamedTuple):
    """One user's contenders."""

    features_CF: NDArray[np.floating]
    share_C: NDArray[np.floating]  # of the user's targets


def fit_ranker(
    scorer: Scorer, data: Path, config: EvaluationConfig, num_contenders: int, logit_scale: float, seed: int
) -> Ranker:
    """Return the ranker of a data folder; `scorer` is the towers with their boosts.

    Without enough users with a target among their contenders, or with `num_contenders` 0, the search's order is kept.
    """
    histories, scenarios = Histories(data), read_vocabulary(data).scenarios
    allowed_SN = is_allowed(DataFolder(data).items, scenarios)
    num_items, networks = allowed_SN.shape[1], Networks.by_score(len(scenarios), NUM_HIDDEN)
    at_validation = Ranker(num_contenders, logit_scale, first_ms(histories, num_items, TRAIN), networks)
    max_users, observed = min(MAX_USERS, MAX_USERS_IN_ALL // len(scenarios)), []
    for s, name in enumerate(scenarios if num_contenders else ()):
        cases = cases_of(histories, s, VALIDATION, config.num_targets, max_users, seed=0)
        users = _observed(scorer, at_validation, histories, s, cases, allowed_SN[s])
        logger.info("ranker | %s | %d users with a target among their best %d items", name, len(users), num_contenders)
        observed.append(_padded(users, num_contenders))
    is_fitted = sum(users.num_users for users in observed) >= MIN_USERS
    if is_fitted:
        networks = fit_networks(observed, seed)
    return Ranker(num_contenders if is_fitted else 0, logit_scale, first_ms(histories, num_items, VALIDATION), networks)


def _observed(
    scorer: Scorer,
    ranker: Ranker,
    histories: Histories,
    scenario: int,
    cases: list[Case],
    is_candidate_N: NDArray[np.bool_],
) -> list[User]:
    """Return the users of a scenario with a target among their contenders."""
    cases = sorted(cases, key=lambda case: case.moment_ms)
    queries = queries_of(scorer, histories, cases, scenario)
    best_U = contenders(scorer, queries, is_candidate_N, ranker.num_contenders)
    users = []
    for case, query, best in zip(cases, queries, best_U, strict=True):
        is_target_C = np.isin(best.items_K, case.target_T)
        if is_target_C.any():
            popular_C = popular_boosts(scorer, query)[best.items_K]
            features_CF = ranker.features(best, query, popular_C, scorer.embeddings_ND)
            users.append(User(features_CF, is_target_C / is_target_C.sum()))
    return users


def _padded(users: list[User], num_contenders: int) -> Observed:
    features_UCF = np.zeros((len(users), num_contenders, len(FEATURES)), np.float32)
    is_contender_UC = np.zeros(features_UCF.shape[:2], bool)
    share_UC = np.zeros(features_UCF.shape[:2], np.float32)
    for u, user in enumerate(users):
        num = len(user.share_C)
        features_UCF[u, :num], share_UC[u, :num], is_contender_UC[u, :num] = user.features_CF, user.share_C, True
    return Observed(*map(torch.from_numpy, (features_UCF, is_contender_UC, share_UC)))
