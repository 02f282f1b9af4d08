"""A data folder with a planted drift: users of three scenarios over 32 days, the last four the test period."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.worlds import write_split

SCENARIOS = ["homefeed", "search", "ads"]
START = datetime(2026, 1, 5, tzinfo=UTC)
TEST_START = START + timedelta(days=28)  # then four days, so the reference is days 21 to 25
MS = timedelta(milliseconds=1)


def write_data(folder: Path, drifting: str | None = None, num_users: int = 500, categories: bool = True) -> Path:
    """Every user comes every few days to every scenario; `drifting` changes habits at the test start."""
    rng = np.random.default_rng(0)
    events = pa.concat_tables([scenario_events(rng, name, name == drifting, num_users) for name in SCENARIOS])
    folder.mkdir(parents=True)
    pq.write_table(events, folder / "events.parquet")
    category = np.array(["cooking", "travel", "games", "music"])[np.arange(200) % 4].tolist()
    items = {"item_id": [f"i{item}" for item in range(200)], "category": category if categories else [None] * 200}
    schema = pa.schema([("item_id", pa.string()), ("category", pa.string())])
    pq.write_table(pa.table(items, schema=schema), folder / "items.parquet")
    write_split(folder, SCENARIOS, round(TEST_START.timestamp() * 1000))
    return folder


def scenario_events(rng: np.random.Generator, scenario: str, is_drifting: bool, num_users: int) -> pa.Table:
    num_events = num_users * 32 * 2
    ms_N = np.sort(rng.integers(0, timedelta(days=32) // MS, num_events))
    is_changed_N = is_drifting & (ms_N >= (TEST_START - START) // MS)
    item_N = rng.integers(0, 200, num_events)
    item_N = np.where(is_changed_N & (rng.random(num_events) < 0.6), item_N // 4 * 4, item_N)  # towards cooking
    is_like_N = rng.random(num_events) < np.where(is_changed_N, 0.6, 0.2)
    return pa.table(
        {
            "user_id": [f"u{user}" for user in rng.integers(0, num_users, num_events)],
            "item_id": [f"i{item}" for item in item_N],
            "scenario": pa.repeat(scenario, num_events),
            "action": np.where(is_like_N, "like", "click"),
            "timestamp": pa.array((round(START.timestamp() * 1000) + ms_N) * 1000, pa.timestamp("us", "UTC")),
        }
    )
