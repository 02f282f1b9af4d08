"""Baselines: the scorers that the towers have to beat; three of them learn nothing.

`popularity` ranks a scenario's items by their events in it before the test, `recent_popularity` by those of the last
days before the query. `own_counts` ranks the user's own items by their events in the scenario, then in all scenarios,
then by recent popularity, and other items by the latter: where people come back to the same items, little is better.
`mean_of_last_n` ranks items by their dot product with the recency-weighted mean of the embeddings of the user's newest
N events, in all scenarios. It has no parameters of its own, but it uses the embeddings that the towers learned.

Shapes: B users, N items, T own items of a user, D embedding, S scenarios.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import VALIDATION, Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.scorers import Boosts, Scorer
from redrec.folders import DataFolder
from redrec.history import History, Ints
from redrec.index.ranker import RankedQuery
from redrec.model.boosts import NOTHING, Own

COUNT_ANYWHERE = 2.0**-12  # of a count in the scenario: users have fewer events
LAST_N = 10
DECAY = 0.8  # weight of an event relative to the next newer one


def popularity(counts_SN: Ints) -> Scorer:
    """An item's embedding is its counts by scenario, a user's only interest the one-hot queried scenario."""
    one_hot_SS = np.eye(len(counts_SN), dtype=np.float32)

    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        return np.tile(one_hot_SS[scenario], (len(histories), 1, 1))

    return Scorer(interests_of, counts_SN.T.astype(np.float32))


def recent_popularity(popularity: Popularity) -> Scorer:
    return _without_model(popularity, lambda query: NOTHING)


def own_counts(popularity: Popularity) -> Scorer:
    """A count in the scenario is 1, in any scenario `COUNT_ANYWHERE`; popularity is below one of either."""

    def own(query: RankedQuery) -> Own:
        items_T, item_L = np.unique(query.history.item_L, return_inverse=True)
        in_scenario_T = np.bincount(item_L, query.history.scenario_L == query.scenario, minlength=len(items_T))
        anywhere_T = np.bincount(item_L, minlength=len(items_T))
        return Own(items_T, (in_scenario_T + COUNT_ANYWHERE * anywhere_T).astype(np.float32))

    return _without_model(popularity, own)


def _without_model(popularity: Popularity, own: Callable[[RankedQuery], Own]) -> Scorer:
    """Return a scorer whose scores are boosts alone; that of popularity is below `COUNT_ANYWHERE`."""
    num_items = popularity.allowed_SN.shape[1]

    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        return np.zeros((len(histories), 1, 1), dtype=np.float32)

    def popular(scenario: int, moment_ms: int) -> NDArray[np.float32]:
        rate_N = popularity.rates(moment_ms)[scenario]
        return (COUNT_ANYWHERE / 2 * rate_N / max(rate_N.max(), 1e-9)).astype(np.float32)

    return Scorer(interests_of, np.zeros((num_items, 1), dtype=np.float32), Boosts(popular, own))


def mean_of_last_n(embeddings_ND: NDArray[np.floating]) -> Scorer:
    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        return np.stack([_weighted_mean(history.item_L, embeddings_ND) for history in histories])[:, None]

    return Scorer(interests_of, embeddings_ND)


def _weighted_mean(item_L: Ints, embeddings_ND: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the recency-weighted mean, 0 without events."""
    newest_last = item_L[-LAST_N:]
    weights = DECAY ** np.arange(len(newest_last))[::-1]
    return (weights / max(weights.sum(), 1.0)).astype(np.float32) @ embeddings_ND[newest_last].astype(np.float32)


def popular_items(data: Path, k: int) -> dict[str, list[int]]:
    """Return, per scenario, the indices of its k items with most events in it before the test, most popular first."""
    vocabulary = read_vocabulary(data)
    allowed_SN = is_allowed(DataFolder(data).items, vocabulary.scenarios)
    counts_SN = train_counts(Histories(data), allowed_SN.shape[1], len(vocabulary.scenarios), VALIDATION)
    popular = {}
    for name, counts_N, is_allowed_N in zip(vocabulary.scenarios, counts_SN, allowed_SN, strict=True):
        most_popular_first_N = np.argsort(-np.where(is_allowed_N, counts_N, -1), kind="stable")
        popular[name] = most_popular_first_N[: min(k, is_allowed_N.sum())].tolist()
    return popular
