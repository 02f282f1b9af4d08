"""Trend: the items of a bundle that are met often lately, from the items' statistics in the feature folder.

They are those of the last materialization, read once at start. Without features nothing is raised.

Shapes: Q interests, N items, T raised items, D embedding, K results.
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

    def beside(self, found: Found, interests_QD: NDArray[np.float32], k: int, is_allowed_N: NDArray[np.bool_]) -> Found:
        """Return what an index found by cosine, raised, and beside it the best k of the raised items."""
        scores_QK, items_QK = found
        scores_QK = scores_QK + np.where(items_QK == NO_ITEM, 0, self.boost_N[items_QK])
        is_allowed_T, boost_T = is_allowed_N[self.items_T], self.boost_N[self.items_T]
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
            raised[scenario] = Raised(boost_N, items_T, bundle.embeddings_ND[items_T].astype(np.float32))
    return raised


def _rates(features: Path, scenario: str, bundle: Bundle) -> NDArray[np.float64]:
    from feature_repo.definitions import item_source_path  # feast takes seconds to import

    columns, path = [f"events_{days}d" for days in WINDOWS_DAYS], features / item_source_path(scenario)
    if not path.is_file():
        raise InputError(
            f"{path} is missing, and bundle {bundle.manifest.id} raises what is met often lately. Give the features "
            "of its own run, whole, or build the bundle again."
        )
    statistics = pq.read_table(path, columns=["item_id", *columns])
    known = [
        (row, bundle.item_index[item])
        for row, item in enumerate(statistics["item_id"].to_pylist())
        if item in bundle.item_index
    ]
    rows_T, items_T = np.array(known, dtype=np.int64).reshape(-1, 2).T
    rate_N = np.zeros(len(bundle.item_ids))
    rate_N[items_T] = daily_rates(np.stack([statistics[name].to_numpy() for name in columns]))[rows_T]
    return rate_N
