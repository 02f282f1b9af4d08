"""Known items: whether the features in a folder are about the bundle's catalog.

Features are refreshed while a bundle is served, and releases share a store, so both need not be of one run, and no hash
of it can be demanded. But an own feature folder has events of items of the catalog alone. If the bundle knows none of
its items, no stored user has a history, and each answer would be a fallback: the folder is another catalog's.
"""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from prometheus_client import Gauge

from redrec.bundle.reader import Bundle
from redrec.config import InputError

logger = logging.getLogger(__name__)

USUAL = 0.5  # a run's own share is 1 and falls as items come that are newer than the bundle
SHOWN_ITEMS = 3
KNOWN = Gauge("redrec_known_items_share", "Share of the items in the features that the bundle knows", ["bundle_id"])


def check_known_items(features: Path, bundle: Bundle) -> None:
    """Check that the bundle knows items of the folder; the share is a metric, and a small one is logged.

    Raises:
        InputError: It knows none.
    """
    item_ids = items_with_events(features, bundle.manifest.scenarios)
    if not len(item_ids):
        return
    num_known, bundle_id = pc.sum(pc.is_in(item_ids, pa.array(bundle.item_ids))).as_py(), bundle.manifest.id
    share = num_known / len(item_ids)
    KNOWN.labels(bundle_id).set(share)
    if num_known == 0:
        raise InputError(
            f"Bundle {bundle_id} knows none of the {len(item_ids):,} items with events in {features}, such as "
            f"{_shown(item_ids.to_pylist())}; its own {len(bundle.item_ids):,} are such as {_shown(bundle.item_ids)}. "
            "The features are another catalog's. Give the feature folder of the bundle's own run."
        )
    if share < USUAL:
        logger.warning(
            "bundle %s knows %d of the %d items with events in %s. Is it the feature folder of another run?",
            *(bundle_id, num_known, len(item_ids), features),
        )


def items_with_events(features: Path, scenarios: tuple[str, ...]) -> pa.Array:
    """Return the ids in the items' statistics, each once; a scenario without the file has none."""
    from feature_repo.definitions import item_source_path  # feast takes seconds to import

    paths = [features / item_source_path(scenario) for scenario in scenarios]
    tables = [pq.read_table(path, columns=["item_id"]) for path in paths if path.is_file()]
    return pa.concat_tables(tables)["item_id"].unique() if tables else pa.array([], pa.string())


def _shown(item_ids: list[str]) -> str:
    return ", ".join(map(repr, item_ids[:SHOWN_ITEMS]))
