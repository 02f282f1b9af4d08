"""Items: what evaluation and index need of the catalog, besides vectors.

Shapes: S scenarios, N items.
"""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.data import columns as c


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


def titles(items: Path) -> list[str]:
    """Return the title of every item, or its id if it has no title."""
    table = pq.read_table(items, columns=[c.ITEM_ID, c.TITLE])
    rows = zip(table[c.ITEM_ID].to_pylist(), table[c.TITLE].to_pylist(), strict=True)
    return [title or item_id for item_id, title in rows]
