"""Items: what evaluation and index need to know of the catalog besides vectors.

Shapes: S scenarios, N items.
"""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.data import columns as c


def is_allowed(items: Path, scenarios: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return where each item may be shown, `is_allowed_SN`."""
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
    """Return the title of every item, its id where it has none."""
    table = pq.read_table(items, columns=[c.ITEM_ID, c.TITLE])
    return [
        title or item_id for item_id, title in zip(*(table[n].to_pylist() for n in table.column_names), strict=True)
    ]
