"""Trend: the items of a bundle that are met often lately, from the items' statistics in the feature folder.

They are those of the last materialization, read once at start. Without features nothing is raised.

Shapes: Q interests, N items, X rows of statistics, T raised items, D embedding, K results.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.bundle import Bundle
from redrec.config import InputError
from redrec.data.columns import WINDOWS_DAYS
from redrec.index.exact import NO_ITEM, exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.milvus import Found
from redrec.index.trend import boosts, daily_rates

logger = logging.getLogger(__name__)


class Raised(NamedTuple):
    """One scenario's boosts, and the items that have one beside their embeddings."""

    boost_N: NDArray[np.float32]
    items_T: NDArray[np.int64]
    embeddings_TD: NDArray[np.float32]
    catalog: Catalog  # of these items alone: a request filters no others

    def beside(self, found: Found, interests_QD: NDArray[np.float32], k: int, item_filter: ItemFilter) -> Found:
        """Return what an index found by cosine, raised, and beside it the best k of the raised items."""
        scores_QK, items_QK = found
        scores_QK = scores_QK + np.where(items_QK == NO_ITEM, 0, self.boost_N[items_QK])
        is_allowed_T, boost_T = self.catalog.is_allowed(item_filter), self.boost_N[self.items_T]
        raised_QK, places_QK = exact_search(interests_QD, self.embeddings_TD, k, is_allowed_T, boost_T)
        raised_items_QK = np.where(places_QK == NO_ITEM, NO_ITEM, self.items_T[places_QK])
        return np.hstack([scores_QK, raised_QK]), np.hstack([items_QK, raised_items_QK])


def read_trend(features: Path | None, bundle: Bundle, catalog: Catalog) -> dict[str, Raised]:
    """Return the scenarios in which items are raised."""
    if features is None or bundle.manifest.trend_weight == 0:
        return {}
    raised = {}
    for scenario in bundle.manifest.scenarios:
        boost_N = boosts(
            _rates(features, scenario, bundle),
            catalog.is_allowed(ItemFilter(scenario=scenario)),
            bundle.manifest.trend_weight,
        )
        items_T = np.flatnonzero(boost_N)
        logger.info("trend | %s | %d of %d items are raised", scenario, len(items_T), len(boost_N))
        if len(items_T):
            raised[scenario] = _raised(boost_N, items_T, bundle)
    return raised


def _raised(boost_N: NDArray[np.float32], items_T: NDArray[np.int64], bundle: Bundle) -> Raised:
    place_of = {bundle.item_ids[item]: place for place, item in enumerate(items_T)}
    embeddings_TD = bundle.embeddings_ND[items_T].astype(np.float32)
    return Raised(boost_N, items_T, embeddings_TD, Catalog(bundle.items.take(items_T), place_of))


def _rates(features: Path, scenario: str, bundle: Bundle) -> NDArray[np.float64]:
    from feature_repo.definitions import item_source_path  # feast takes seconds to import

    columns, path = [f"events_{days}d" for days in WINDOWS_DAYS], features / item_source_path(scenario)
    if not path.is_file():
        raise InputError(
            f"{path} is missing, and bundle {bundle.manifest.id} raises what is met often lately. Give the features "
            "of its own run, whole, or build the bundle again."
        )
    statistics = pq.read_table(path, columns=["item_id", *columns])
    item_X = np.array(
        [bundle.item_index.get(item, NO_ITEM) for item in statistics["item_id"].to_pylist()], dtype=np.int64
    )
    is_known_X = item_X != NO_ITEM
    rate_N = np.zeros(len(bundle.item_ids))
    rate_N[item_X[is_known_X]] = daily_rates(np.stack([statistics[name].to_numpy() for name in columns]))[is_known_X]
    return rate_N
