"""Availability: which items are inside their window at a moment, as one mask of the catalog.

The mask changes only where a window begins or ends. These moments are sorted once, and between two of them all requests
share one array: a request costs a binary search, and an item appears and vanishes at its moment without a restart.

A window includes its first moment and not its last, `from <= moment < until`. A server's collection has both ends as
fields, if the item table has the columns; tables of before them have items that are always available.

Shapes: N items, C moments of change.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from redrec.data import columns as c

FROM_FIELD, UNTIL_FIELD = f"{c.AVAILABLE_FROM}_ms", f"{c.AVAILABLE_UNTIL}_ms"  # of a collection's rows
ALWAYS_MS, FOR_EVER_MS = np.iinfo(np.int64).min, np.iinfo(np.int64).max  # of items without such an end


def has_window_columns(items: pa.Schema) -> bool:
    """Return whether an item table has the columns; a table of before them has neither."""
    return set(c.WINDOW_COLUMNS) <= set(items.names)


def window_ms(items: pa.RecordBatch | pa.Table) -> dict[str, NDArray[np.int64]]:
    """Return the items' two fields, milliseconds since 1970; nothing for a table without the columns."""
    if not has_window_columns(items.schema):
        return {}
    return {
        FROM_FIELD: _ms(items[c.AVAILABLE_FROM], ALWAYS_MS),
        UNTIL_FIELD: _ms(items[c.AVAILABLE_UNTIL], FOR_EVER_MS),
    }


def _ms(times: pa.Array | pa.ChunkedArray, empty: int) -> NDArray[np.int64]:
    numbers = times.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())
    values: NDArray[np.int64] = numbers.fill_null(empty).to_numpy(zero_copy_only=False)
    return values


class Availability:
    """Read from any thread."""

    def __init__(self, items: pa.Table) -> None:
        windows, num_items = window_ms(items), items.num_rows
        self.from_ms_N = windows.get(FROM_FIELD, np.full(num_items, ALWAYS_MS))
        self.until_ms_N = windows.get(UNTIL_FIELD, np.full(num_items, FOR_EVER_MS))
        begins, ends = self.from_ms_N[self.from_ms_N != ALWAYS_MS], self.until_ms_N[self.until_ms_N != FOR_EVER_MS]
        self.changes_C = np.unique(np.concatenate([begins, ends]))
        self._last: tuple[int, NDArray[np.bool_]] = (-1, np.empty(0, dtype=bool))  # replaced as one

    @property
    def has_windows(self) -> bool:
        return len(self.changes_C) > 0

    def at(self, moment_ms: int) -> NDArray[np.bool_]:
        """Return whether each item is available, `is_available_N`, read-only."""
        interval = int(np.searchsorted(self.changes_C, moment_ms, side="right"))
        last, is_available_N = self._last
        if interval != last:
            is_available_N = (self.from_ms_N <= moment_ms) & (moment_ms < self.until_ms_N)
            is_available_N.setflags(write=False)
            self._last = interval, is_available_N
        return is_available_N
