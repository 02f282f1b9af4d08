"""Popularity boost at request time: a bundle's recently popular items, from the statistics in the feature folder.

The statistics are those of the last materialization and are read once, at start. Without features nothing is boosted.

Shapes: N items, X rows of statistics, T boosted items, D embedding.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.columns import WINDOWS_DAYS, events_in
from redrec.index.exact import NO_ITEM
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.popularity_boost import PopularItems, daily_rates, popularity_lifts

logger = logging.getLogger(__name__)


def read_lifts(features: Path | None, bundle: Bundle, catalog: Catalog) -> dict[str, NDArray[np.float32]]:
    """Return how popular each item is of late, `lift_N` per scenario; nothing without features."""
    if features is None:
        return {}
    allowed = {scenario: catalog.is_allowed(ItemFilter(scenario=scenario)) for scenario in bundle.manifest.scenarios}
    return {
        scenario: popularity_lifts(_rates(features, scenario, bundle), is_allowed_N)
        for scenario, is_allowed_N in allowed.items()
    }


def popular_items(
    lifts: Mapping[str, NDArray[np.float32]], bundle: Bundle, added: float = 0.0
) -> dict[str, PopularItems]:
    """Return the boosted items per scenario, without scenarios that have none; `added` is added to each weight."""
    popular: dict[str, PopularItems] = {}
    manifest = bundle.manifest
    for scenario, lift_N in lifts.items():
        weight = manifest.boosts[manifest.scenarios.index(scenario)].popularity + added
        if weight == 0:
            continue
        boost_N = lift_N * np.float32(weight / manifest.logit_scale)
        items_T = np.flatnonzero(boost_N)
        logger.info("popularity boost | %s | %d of %d items", scenario, len(items_T), len(boost_N))
        if len(items_T):
            embeddings_TD = bundle.embeddings_ND[items_T].astype(np.float32)
            popular[scenario] = PopularItems(boost_N, items_T, embeddings_TD)
    return popular


def _rates(features: Path, scenario: str, bundle: Bundle) -> NDArray[np.float64]:
    from feature_repo.definitions import item_source_path  # feast takes seconds to import

    columns, path = [events_in(days) for days in WINDOWS_DAYS], features / item_source_path(scenario)
    if not path.is_file():
        raise InputError(
            f"{path} is missing, and bundle {bundle.manifest.id} boosts recently popular items. Give the whole feature "
            "folder of its own run, or build the bundle again."
        )
    statistics = pq.read_table(path, columns=["item_id", *columns])
    item_X = np.array(
        [bundle.item_index.get(item, NO_ITEM) for item in statistics["item_id"].to_pylist()], dtype=np.int64
    )
    is_known_X = item_X != NO_ITEM
    rate_N = np.zeros(len(bundle.item_ids))
    rate_N[item_X[is_known_X]] = daily_rates(np.stack([statistics[name].to_numpy() for name in columns]))[is_known_X]
    return rate_N
