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
from redrec.data.columns import WINDOWS_DAYS
from redrec.index.exact import NO_ITEM
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.milvus import Found
from redrec.index.trend import boosts, daily_rates

logger = logging.getLogger(__name__)


class Raised(NamedTuple):
    """One scenario's boosts, and the items that have one beside their embeddings."""

    boost_N: NDArray[np.float32]
    items_T: NDArray[np.int64]
    embeddings_TD: NDArray[np.float32]

    def added_to(self, found: Found, interests_QD: NDArray[np.float32], is_allowed_N: NDArray[np.bool_]) -> Found:
        """Return what an index found by cosine, raised, and beside it all raised items that may be shown."""
        scores_QK, items_QK = found
        is_allowed_T = is_allowed_N[self.items_T]
        items_T, embeddings_TD = self.items_T[is_allowed_T], self.embeddings_TD[is_allowed_T]
        scores_QT = interests_QD @ embeddings_TD.T + self.boost_N[items_T]
        found_QK = np.where(items_QK == NO_ITEM, 0, self.boost_N[items_QK]) + scores_QK
        items_QT = np.broadcast_to(items_T, scores_QT.shape)
        return np.hstack([found_QK, scores_QT]), np.hstack([items_QK, items_QT])


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

    columns = [f"events_{days}d" for days in WINDOWS_DAYS]
    statistics = pq.read_table(features / item_source_path(scenario), columns=["item_id", *columns])
    known = [
        (row, bundle.item_index[item])
        for row, item in enumerate(statistics["item_id"].to_pylist())
        if item in bundle.item_index
    ]
    rows_T, items_T = np.array(known, dtype=np.int64).reshape(-1, 2).T
    rate_N = np.zeros(len(bundle.item_ids))
    rate_N[items_T] = daily_rates(np.stack([statistics[name].to_numpy() for name in columns]))[rows_T]
    return rate_N
