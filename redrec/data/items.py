"""Items: what checks, evaluation and index need of the catalog, besides vectors.

Shapes: S scenarios, N items.
"""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.data import columns as c
from redrec.history import Ints


def is_allowed(items: Path, scenarios: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return whether each item may be shown in each scenario, `is_allowed_SN`."""
    file = pq.ParquetFile(items)
    allowed_SN = np.zeros((len(scenarios), file.metadata.num_rows), dtype=bool)
    start = 0
    for block in file.iter_batches(columns=[c.SCENARIOS]):
        rows = pc.list_parent_indices(block[c.SCENARIOS]).to_numpy() + start
        names = pc.list_flatten(block[c.SCENARIOS])
        for s, scenario in enumerate(scenarios):
            allowed_SN[s, rows[pc.equal(names, scenario).to_numpy(zero_copy_only=False)]] = True
        start += len(block)
    return allowed_SN


def unknown_scenarios(items: Path, scenarios: tuple[str, ...]) -> list[str]:
    """Return the names in the items' scenarios that are none of `scenarios`, sorted."""
    names: set[str] = set()
    for block in pq.ParquetFile(items).iter_batches(columns=[c.SCENARIOS]):
        names |= set(pc.unique(pc.list_flatten(block[c.SCENARIOS])).to_pylist())
    return sorted(name for name in names - set(scenarios) if name)


def descriptions(items: Path) -> list[dict[str, str | None]]:
    """Return what a list shows of every item: id, title (the id if it has none) and category."""
    table = pq.read_table(items, columns=[c.ITEM_ID, c.TITLE, c.CATEGORY])
    return [row | {c.TITLE: row[c.TITLE] or row[c.ITEM_ID]} for row in table.to_pylist()]


def id_ranks(items: Path) -> Ints:
    """Return the position of each item in the order of ids, `rank_N`; if all are digits, they are sorted as numbers.

    The catalog itself is sorted by its ids as text.
    """
    num_items = pq.ParquetFile(items).metadata.num_rows
    number_N = np.empty(num_items)
    start = 0
    for block in pq.ParquetFile(items).iter_batches(columns=[c.ITEM_ID]):
        if not pc.all(pc.match_substring_regex(block[c.ITEM_ID], "^[0-9]+$")).as_py():
            return np.arange(num_items)
        number_N[start : start + len(block)] = pc.cast(block[c.ITEM_ID], "float64")
        start += len(block)
    return np.argsort(np.argsort(number_N, kind="stable"))
