"""Small event logs, and their data folders."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from redrec.data.histories import Histories
from redrec.data.prepare import DataConfig, prepare
from redrec.data.quality import DataQuality

LENIENT = DataConfig(max_quarantined_share=0.9)
ITEMS = [{"item_id": f"i{n}", "title": f"title {n}"} for n in range(4)]
START = datetime(2024, 1, 1, tzinfo=UTC)


def at(day: int) -> datetime:
    return datetime(2024, 1, day, tzinfo=UTC)


def event(**changed: object) -> dict[str, object]:
    good = {"user_id": "u1", "item_id": "i1", "scenario": "ads", "action": "click", "timestamp": at(1)}
    return good | changed


GOOD = [event(user_id=f"u{n // 4}", item_id=f"i{n % 4}", timestamp=at(1 + n % 4)) for n in range(12)]


def prepared(folder: Path, events: list[dict[str, object]], config: DataConfig = LENIENT) -> DataQuality:
    """Write the data folder `folder/data` of events of `ITEMS`."""
    pq.write_table(pa.Table.from_pylist(events), folder / "events.parquet")
    pq.write_table(pa.Table.from_pylist(ITEMS), folder / "items.parquet")
    return prepare(folder / "events.parquet", folder / "items.parquet", folder / "data", config)


def write_clicks(folder: Path, events: list[tuple[str, str, str, float]]) -> tuple[Path, Path]:
    """Write the tables of events (user, item, scenario, hours since the start) of ten items."""
    rows = [
        {"user_id": u, "item_id": i, "scenario": s, "action": "click", "timestamp": START + timedelta(hours=hours)}
        for u, i, s, hours in events
    ]
    items = [{"item_id": f"i{n}", "title": ""} for n in range(10)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "events.parquet")
    pq.write_table(pa.Table.from_pylist(items), folder / "items.parquet")
    return folder / "events.parquet", folder / "items.parquet"


EVENTS = [("a", f"i{n}", "ads" if n % 2 else "feed", n) for n in range(10)] + [
    ("b", "i3", "feed", 100),
    ("b", "i4", "ads", 1),
]


def histories_of(folder: Path, events: list[tuple[str, str, str, float]], **config: object) -> Histories:
    prepare(*write_clicks(folder, events), folder / "data", DataConfig(**{"has_validation": False, **config}))
    return Histories(folder / "data")
