"""Rows of a collection: read from the items' Parquet file in blocks, and written.

A block is the most that is in memory as Python objects. Rows are upserted, never inserted: a server keeps a row twice
that is inserted twice, as when a call is tried again whose answer was lost.

Shapes: N items, B of them in a block, D embedding.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pymilvus import MilvusClient, MilvusException

from redrec.config import InputError
from redrec.data.columns import CATEGORY, ITEM_ID, SCENARIOS, WINDOW_COLUMNS
from redrec.index.availability import window_ms
from redrec.index.connection import is_unreachable
from redrec.index.filters import scenario_field

BLOCK_ROWS = 5_000  # 1.3 MB of float32 at D = 64, and about 5 MB as Python objects

Rows = list[dict[str, object]]


def row_blocks(
    bundle_id: str, items: Path, embeddings_ND: NDArray[np.floating], scenarios: Sequence[str]
) -> Iterator[Rows]:
    """Yield the rows of a collection, block by block, in the file's order."""
    start, columns = 0, [ITEM_ID, CATEGORY, SCENARIOS, *WINDOW_COLUMNS]  # the reader passes over what the file lacks
    for batch in pq.ParquetFile(items).iter_batches(BLOCK_ROWS, columns=columns):
        yield block_rows(bundle_id, batch, embeddings_ND[start : start + len(batch)], scenarios)
        start += len(batch)


def block_rows(
    bundle_id: str, items: pa.RecordBatch | pa.Table, embeddings_BD: NDArray[np.floating], scenarios: Sequence[str]
) -> Rows:
    """Return the rows of some items; an item without a category has an empty one.

    They have the fields of a window if the table has its columns.
    """
    embeddings_BD = np.asarray(embeddings_BD, dtype=np.float32)
    field_of = {scenario: scenario_field(scenario) for scenario in scenarios}
    windows = {field: ms_B.tolist() for field, ms_B in window_ms(items).items()}
    rows: Rows = []
    for i, (item, embedding_D) in enumerate(zip(items.to_pylist(), embeddings_BD, strict=True)):
        row = {ITEM_ID: item[ITEM_ID], "bundle_id": bundle_id, CATEGORY: item[CATEGORY] or ""}
        row |= {field: scenario in item[SCENARIOS] for scenario, field in field_of.items()}
        row |= {field: ms_B[i] for field, ms_B in windows.items()}
        rows.append(row | {"embedding": embedding_D})
    return rows


def upsert(client: MilvusClient, name: str, rows: Rows, timeout_s: float) -> None:
    """Write rows in place of those of the same id; a search with `Strong` sees them at once.

    Raises:
        InputError: Their dimension or their fields are not the collection's.
    """
    try:
        client.upsert(name, rows, timeout=timeout_s)
    except MilvusException as error:
        if is_unreachable(error):
            raise
        raise InputError(
            f"Collection {name} refuses rows: {error.message}. They need the dimension and the scenarios that the "
            "bundle was built with; for others, build a new bundle."
        ) from error
