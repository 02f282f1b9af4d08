"""Profile: what refused tables hold, as far as it can be read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from redrec.data.prepare import DataConfig
from redrec.data.profile import profile
from tests.data.logs import GOOD, ITEMS


def profiled(folder: Path, events: list[dict[str, object]], config: DataConfig = DataConfig()):  # noqa: B008
    pq.write_table(pa.Table.from_pylist(events), folder / "events.parquet")
    pq.write_table(pa.Table.from_pylist(ITEMS), folder / "items.parquet")
    return profile(folder / "events.parquet", folder / "items.parquet", config)


def test_bad_rows_are_counted_too(tmp_path):
    events, items = profiled(tmp_path, [*GOOD, *GOOD[:3], GOOD[0] | {"user_id": "", "timestamp": None}])
    assert (events.rows, items.rows) == (16, 4)
    assert events.columns[0] == ("user_id", "string", "used")
    assert {bar.label: bar.number for bar in events.histograms["Events per user"]} == {
        "1": 1,
        "2": 0,
        "3-4": 2,
        "5-8": 1,
    }
    assert sum(bar.number for bar in events.histograms["Events by time (UTC)"]) == 15
    assert events.histograms["Events by time (UTC)"][0].label == "2024-01-01 00:00"


def test_without_the_columns_the_rows_are_still_shown(tmp_path):
    events, items = profiled(tmp_path, [{"user": "u1", "when": "soon"}])
    assert events.columns == (("user", "string", ""), ("when", "string", ""))
    assert (events.first_rows, events.histograms) == ((("u1", "soon"),), {})
    assert items.name == "items"


def test_times_that_cannot_be_read_leave_the_other_histograms(tmp_path):
    events, _ = profiled(tmp_path, [row | {"timestamp": "soon"} for row in GOOD])
    assert list(events.histograms) == ["Events per user", "Events per item"]


def test_a_table_that_cannot_be_opened_is_left_out(tmp_path):
    pq.write_table(pa.Table.from_pylist(ITEMS), tmp_path / "items.parquet")
    (items,) = profile(tmp_path / "absent.csv", tmp_path / "items.parquet", DataConfig())
    assert items.name == "items"
