"""Boost fit: the weights of a scenario's boosts that make the validation targets most likely among their contenders.

Contenders are what could be at the top of a user's list: the user's own items, and the best by cosine and by
popularity. Where a scenario leaves out what a user has had (`redrec.evaluation.seen_items`), own items are none: heavy
users have had most of what is popular, and popularity would seem to say nothing. A target's chance is the softmax over
them of `scale * cosine + boosts`. The scale is fitted too, since towers are more certain of their training events than
of later ones; weights are given relative to it, so that cosines keep theirs. The fit uses every target that is a
contender, also those far from the top: a few hundred users suffice. A prior around no boost decides where there are
fewer. All weights are at least zero.

Shapes: U users, C contenders of a user, F features, Q interests, D embedding.
"""

import logging
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from redrec.data.histories import VALIDATION
from redrec.evaluation.cases import Case, EvaluationConfig, cases_of
from redrec.evaluation.choice_model import Choices, Floats, most_likely
from redrec.evaluation.contenders import queries_of
from redrec.evaluation.popularity import Popularity, last_hour
from redrec.evaluation.scorers import Scorer
from redrec.history import Ints
from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.ranker import RankedQuery
from redrec.model.boosts import OWN_COUNTS, BoostWeights

logger = logging.getLogger(__name__)

MAX_USERS = 2000  # per scenario
NUM_BEST = 100  # contenders by the cosine of each interest, and by popularity
MIN_SCALE = 0.05  # of the logit scale: towers that know nothing still order what is not boosted
PRIOR_SD = 2.0  # of a weight, in logits


class BoostFit:
    """Of the events that `popularity` counts; `scorer` has no boosts."""

    def __init__(
        self,
        scorer: Scorer,
        popularity: Popularity,
        scenarios: Sequence[str],
        config: EvaluationConfig,
        logit_scale: float,
    ) -> None:
        self.scorer, self.popularity, self.scenarios = scorer, popularity, scenarios
        self.config, self.logit_scale = config, logit_scale

    def weights(self, scenario: int, excludes_seen: bool) -> BoostWeights:
        """Return the weights of a scenario, where it leaves out own items or not; zero without targets."""
        histories = self.popularity.histories
        cases = cases_of(histories, scenario, VALIDATION, self.config.num_targets, MAX_USERS, seed=0)
        choices = ScenarioChoices(self.scorer, scenario, self.popularity, self.logit_scale, excludes_seen)
        scale, popular, *own = _most_likely(choices.contenders(cases))
        relative = tuple(weight / scale for weight in own)
        weights = BoostWeights(popularity=popular / scale, own=relative, excludes_seen=excludes_seen)
        logger.info("boosts | %s | %d users | %s", self.scenarios[scenario], len(cases), _text(weights))
        return weights


def _text(weights: BoostWeights) -> str:
    own = "left out" if weights.excludes_seen else " ".join(f"{weight:.2f}" for weight in weights.own)
    return f"popularity {weights.popularity:.2f} | own {own}"


def _most_likely(contenders: Choices | None) -> list[float]:
    """Return the scale of the cosine and the weights of the boosts."""
    none = [0.0] * (1 + len(OWN_COUNTS))
    return most_likely(contenders, [1.0, *none], PRIOR_SD, least=[MIN_SCALE, *none])


class ScenarioChoices:
    """What the users of one scenario choose from, and what they chose."""

    def __init__(
        self,
        scorer: Scorer,
        scenario: int,
        popularity: Popularity,
        logit_scale: float,
        excludes_seen: bool,
    ) -> None:
        self.scorer, self.scenario, self.logit_scale = scorer, scenario, logit_scale
        self.excludes_seen = excludes_seen
        self.popularity, self.is_candidate_N = popularity, popularity.allowed_SN[scenario]
        self.most_popular = lru_cache(1)(self._most_popular)

    def contenders(self, cases: Sequence[Case]) -> Choices | None:
        """Return what the users who have a target among them choose from; None if there is no such user."""
        if not cases:
            return None
        cases = sorted(cases, key=lambda case: case.moment_ms)
        features, is_target = [], []
        queries = queries_of(self.scorer, self.popularity.histories, cases, self.scenario)
        for case, query in zip(cases, queries, strict=True):
            items_C, features_CF = self._of_user(query)
            features.append(features_CF)
            is_target.append(np.isin(items_C, case.target_T))
        return Choices.of(features, is_target)

    def _of_user(self, query: RankedQuery) -> tuple[Ints, Floats]:
        """Return a user's contenders, sorted, and their features."""
        interests_QD, moment_ms, own_T = query.interests_QD, query.moment_ms, query.own.items_T
        is_candidate_N = self.is_candidate_N
        if self.excludes_seen:
            is_candidate_N = is_candidate_N.copy()
            is_candidate_N[own_T] = False
        popular = self.most_popular(last_hour(moment_ms))[: NUM_BEST + len(own_T)]
        _, nearest_QK = exact_search(interests_QD, self.scorer.embeddings_ND, NUM_BEST, is_candidate_N)
        best = popular[is_candidate_N[popular]][:NUM_BEST], nearest_QK[nearest_QK != NO_ITEM], own_T
        items_C = np.unique(np.concatenate(best))
        items_C = items_C[is_candidate_N[items_C]]
        features_CF = np.zeros((len(items_C), 2 + len(OWN_COUNTS)))
        embeddings_CD = self.scorer.embeddings_ND[items_C].astype(np.float32)
        features_CF[:, 0] = self.logit_scale * (interests_QD @ embeddings_CD.T).max(0)
        features_CF[:, 1] = self.popularity.lifts(moment_ms, self.scenario)[items_C]
        features_CF[:, 2:] = query.own.log_counts_of(items_C)
        return items_C, features_CF

    def _most_popular(self, hour_ms: int) -> Ints:
        return np.argsort(-self.popularity.lifts(hour_ms, self.scenario), kind="stable")
