"""Small event logs of given columns, in files, opened to be compared."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from redrec.drift.logs import Sources
from tests.drift.worlds import START

NUM_USERS = 150


def log(week: int, columns: Mapping[str, Any], num_users: int = NUM_USERS, scenario: str = "ads") -> pa.Table:
    """Return the events of a week, some of each user in turn; the columns say how many there are."""
    num = len(next(iter(columns.values())))
    times = [START + timedelta(days=7 * week + number % 7, hours=number % 24) for number in range(num)]
    return pa.table(
        {
            "user_id": [f"u{number % num_users}" for number in range(num)],
            "item_id": [f"i{number % 5}" for number in range(num)],
            "scenario": pa.repeat(scenario, num),
            "timestamp": pa.array(times, pa.timestamp("us")),
            **columns,
        }
    )


def write(folder: Path, reference: pa.Table, current: pa.Table, vectors: Sequence[Any] | None = None) -> Sources:
    """Write the logs, and five items in the categories `even` and `odd`, with vectors if there are some."""
    ids = [f"i{number}" for number in range(5)]
    tables = {"reference": reference, "current": current}
    tables["items"] = pa.table({"item_id": ids, "category": ["even", "odd", "even", "odd", "even"]})
    if vectors is not None:
        tables["vectors"] = pa.table({"item_id": ids, "vector": list(vectors)})
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    paths = {name: folder / f"{name}.parquet" for name in tables}
    return Sources(paths["reference"], paths["current"], paths["items"], paths.get("vectors"))
