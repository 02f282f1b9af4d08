"""Popularity share: how much of a scenario's popularity is of the moment, and how much lasts.

Training makes the towers know what was popular then. Where popularity passes, as with news, that knowledge is stale
when the towers serve, and the popularity boost cannot take it back. So the loss adds `share * log(1 + count / mean)` to
each logit (logit adjustment, Menon et al., arXiv:2007.07314): with a share of 1 the towers learn nothing of popularity
and leave it to the boost, with a share of 0 they learn all.

The share is measured before training. A choice model of popularity alone explains the validation targets among random
items, by the popularity before the moment (that of the boost) and by that of all training events. The share is the
weight of the first in the sum of both.

Shapes: S scenarios, C items that one user chooses from.
"""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import VALIDATION, Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.cases import EvaluationConfig, cases_of
from redrec.evaluation.choice_model import Choices, Floats, most_likely
from redrec.evaluation.popularity import Popularity
from redrec.folders import DataFolder
from redrec.history import Ints
from redrec.index.popularity_boost import popularity_lifts

logger = logging.getLogger(__name__)

MAX_USERS = 2000  # per scenario
NUM_RANDOM = 200  # items beside a user's targets
LASTING = (0.0, 1.0)  # the weights where nothing is known
PRIOR_SD = 0.5


def popularity_prior(counts_SN: Ints, share_S: Floats, allowed_SN: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return what the loss adds to each item's logit in each scenario, `prior_SN`."""
    lifts = [popularity_lifts(*of_scenario) for of_scenario in zip(counts_SN, allowed_SN, strict=True)]
    return np.stack(lifts) * share_S.astype(np.float32)[:, None]


def popularity_shares(data: Path, config: EvaluationConfig) -> Floats:
    """Return the share of each scenario of a data folder, `share_S`.

    A scenario without validation targets has the mean of the others; without any, nothing is of the moment.
    """
    histories, scenarios = Histories(data), read_vocabulary(data).scenarios
    allowed_SN = is_allowed(DataFolder(data).items, scenarios)
    counts_SN = train_counts(histories, allowed_SN.shape[1], len(scenarios))
    popularity, rng = Popularity(histories, allowed_SN), np.random.default_rng(0)
    share_S = np.full(len(scenarios), np.nan)
    for s, name in enumerate(scenarios):
        allowed, lasting_N = np.flatnonzero(allowed_SN[s]), popularity_lifts(counts_SN[s], allowed_SN[s])
        features, is_target = [], []
        cases = cases_of(histories, s, VALIDATION, config.num_targets, MAX_USERS, seed=0)
        if not cases:
            continue
        for case in sorted(cases, key=lambda case: case.moment_ms):
            items_C = np.union1d(case.target_T, rng.choice(allowed, NUM_RANDOM if len(allowed) else 0))
            momentary_N = popularity.lifts(case.moment_ms, s)
            features.append(np.stack([momentary_N[items_C], lasting_N[items_C]], axis=1))
            is_target.append(np.isin(items_C, case.target_T))
        of_moment, lasting = most_likely(Choices.of(features, is_target), LASTING, PRIOR_SD, least=(0.0, 0.0))
        share_S[s] = of_moment / max(of_moment + lasting, 1e-9)
        logger.info("popularity of the moment | %s | %d users | share %.2f", name, len(cases), share_S[s])
    measured = share_S[~np.isnan(share_S)]
    return np.nan_to_num(share_S, nan=measured.mean() if len(measured) else 0.0)
