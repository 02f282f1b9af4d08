"""Ranker: orders a user's best items by more than their scores, with a small network per scenario.

The boosted search finds the best `num_contenders` items of a user; the ranker orders them. It reads what the search
cannot add up: how old an item is, how it compares with what the user met last, and whether this user is one for whom
popular or repeated items matter. The networks are fitted on the validation split (`redrec.training.ranker_fit`); ones
that are not fitted keep the order of the search.

All features are known when a user is queried, in evaluation as in serving (`FEATURES`).

Shapes: C contenders, F features, H hidden, S scenarios, N items, Q interests, L events, D embedding.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from redrec.config import Config
from redrec.history import MS_PER_DAY, History, Ints
from redrec.index.merge import Merged
from redrec.model.boosts import MAX_COUNTED, NOTHING, OWN_COUNTS, BoostWeights, Own, OwnItems, own_items

Floats = NDArray[np.floating]

OWN = tuple(f"own_{'here' if in_scenario else 'all'}_{half_life}" for in_scenario, half_life in OWN_COUNTS)
FEATURES = (
    "score",  # below the user's best, in logits
    "cosine",  # the greatest over the interests, in logits
    "mean_cosine",
    "popularity",  # its boost, in logits
    *OWN,  # log(1 + count)
    "age",  # log(1 + days since the item's first event), -1 before it
    "nearest_event",  # cosines with the newest events: the newest, the greatest, the mean
    "most_like_event",
    "mean_like_events",
    "num_events",  # log(1 + the user's events)
    "idle",  # log(1 + days since the newest event)
)
NUM_NEWEST = 10
MAX_DEVIATION = 5.0  # of what enters the hidden layer, in standard deviations from the mean


class RankerConfig(Config):
    num_contenders: NonNegativeInt = 80  # items of a user that are ordered; 0: the order is that of the search


@dataclass(frozen=True)
class RankedQuery:
    """Who is queried, where and when."""

    interests_QD: Floats
    history: History
    scenario: int
    moment_ms: int

    @cached_property
    def own(self) -> OwnItems:
        """The user's own items, counted when they are first read."""
        return own_items(self.history, self.scenario, self.moment_ms)

    def own_boosts(self, weights: BoostWeights, logit_scale: float) -> Own:
        """Return the boosts of the user's own items, in evaluation as in serving."""
        return self.own.boosts(weights, logit_scale) if weights.has_own else NOTHING


class Networks(NamedTuple):
    """One network per scenario: a linear part, and a hidden layer."""

    mean_SF: Floats
    deviation_SF: Floats
    linear_SF: Floats
    hidden_SFH: Floats
    bias_SH: Floats
    out_SH: Floats

    @classmethod
    def by_score(cls, num_scenarios: int, num_hidden: int) -> Self:
        """Return networks that keep the order of the scores."""
        shape, is_score_F = (num_scenarios, len(FEATURES)), np.eye(len(FEATURES), dtype=np.float32)[0]
        hidden_SFH = np.zeros((*shape, num_hidden), np.float32)
        bias_SH = np.zeros((num_scenarios, num_hidden), np.float32)
        ones_SF = np.ones(shape, np.float32)
        return cls(0 * ones_SF, ones_SF, ones_SF * is_score_F, hidden_SFH, bias_SH, bias_SH.copy())

    def logits(self, features_CF: Floats, scenario: int) -> Floats:
        """Return the log of each contender's chance, up to a constant, `logit_C`."""
        scaled_CF = (features_CF - self.mean_SF[scenario]) / self.deviation_SF[scenario]
        clipped_CF = np.clip(scaled_CF, -MAX_DEVIATION, MAX_DEVIATION)
        hidden_CH = np.maximum(clipped_CF @ self.hidden_SFH[scenario] + self.bias_SH[scenario], 0)
        logit_C: Floats = scaled_CF @ self.linear_SF[scenario] + hidden_CH @ self.out_SH[scenario]
        return logit_C


class Ranker(NamedTuple):
    """The networks, and what they need to know of the catalog."""

    num_contenders: int
    logit_scale: float
    first_ms_N: Ints  # of each item's first event in any scenario (`redrec.data.histories.first_ms`)
    networks: Networks

    def save(self, path: Path) -> None:
        """Write all but the logit scale, which is the model's."""
        np.savez(
            path,
            num_contenders=self.num_contenders,
            first_ms_N=self.first_ms_N,
            **self.networks._asdict(),
        )

    @classmethod
    def load(cls, path: Path, logit_scale: float) -> Self:
        with np.load(path, allow_pickle=False) as arrays:
            networks = Networks(*(arrays[name] for name in Networks._fields))
            return cls(int(arrays["num_contenders"]), logit_scale, arrays["first_ms_N"], networks)

    def ranked(self, best: Merged, query: RankedQuery, popular_C: Floats, embeddings_ND: Floats) -> Merged:
        """Return the best items of a boosted search in the ranker's order, with its scores, comparable in one list.

        `popular_C` are the popularity boosts of these items, in units of the cosine.
        """
        if not len(best.items_K):
            return best
        features_CF = self.features(best, query, popular_C, embeddings_ND)
        score_C = (self.networks.logits(features_CF, query.scenario) / self.logit_scale).astype(np.float32)
        return best._replace(scores_K=score_C).of(np.argsort(-score_C, kind="stable"))

    def features(self, best: Merged, query: RankedQuery, popular_C: Floats, embeddings_ND: Floats) -> Floats:
        """Return what the networks read of each item, `features_CF`, in the order of `FEATURES`."""
        items_C, history, scale = best.items_K, query.history, self.logit_scale
        embeddings_DC = np.asarray(embeddings_ND[items_C], np.float32).T
        cosine_QC = query.interests_QD @ embeddings_DC
        newest_LD = np.asarray(embeddings_ND[history.item_L[-NUM_NEWEST:]], np.float32)
        like_LC = newest_LD @ embeddings_DC if len(newest_LD) else np.zeros((1, len(items_C)), np.float32)
        age_days_C = (query.moment_ms - self.first_ms_N[items_C].astype(float)) / MS_PER_DAY
        num_events = np.minimum(np.bincount(history.scenario_L), MAX_COUNTED).sum()
        idle_days = (query.moment_ms - history.timestamp_ms_L[-1:].max(initial=0)) / MS_PER_DAY
        columns = [  # by `reduce`, since numpy's `max` and `mean` call it in several more steps
            scale * (best.scores_K - np.maximum.reduce(best.scores_K)),
            scale * np.maximum.reduce(cosine_QC),
            scale / len(cosine_QC) * np.add.reduce(cosine_QC),
            scale * popular_C,
            *query.own.log_counts_of(items_C).T,
            np.where(age_days_C >= 0, np.log1p(np.maximum(age_days_C, 0)), -1),
            like_LC[-1],
            np.maximum.reduce(like_LC),
            np.add.reduce(like_LC) / len(like_LC),
            math.log1p(num_events),
            math.log1p(max(0.0, idle_days)),
        ]
        features_FC = np.empty((len(FEATURES), len(items_C)), np.float32)
        for feature_C, column in zip(features_FC, columns, strict=True):
            feature_C[:] = column
        return features_FC.T
