"""Logs: files of any kind become typed tables; what is missing or unusable is an error with its remedy."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.tables import connect
from redrec.drift.logs import Sources, read_logs
from tests.drift.tables import log, write

NUM = 210


@pytest.fixture
def connection():
    connection = connect()
    yield connection
    connection.disconnect()


def read(connection, sources: Sources, folder: Path):
    (folder / "scratch").mkdir()
    return read_logs(connection, sources, folder / "scratch")


def test_a_category_and_an_hour_are_added_and_the_reference_is_cut_to_its_window(connection, tmp_path):
    two_weeks = pa.concat_tables([log(week, {"score": [0.5] * NUM}) for week in (0, 1)])
    logs = read(connection, write(tmp_path, two_weeks, log(2, {"score": [0.5] * NUM})), tmp_path)
    assert logs.types == {"score": "numeric", "hour": "categorical", "category": "categorical"}
    assert logs.reference.count().to_pyarrow().as_py() == NUM
    assert [window.start.day for window in logs.windows] == [12, 19]
    row = logs.current.order_by("timestamp").limit(1).to_pyarrow().to_pylist()[0]
    assert (row["category"], row["hour"], row["score"]) == ("even", "00h", 0.5)


def test_the_category_of_an_event_is_kept(connection, tmp_path):
    own = {"category": ["own"] * NUM}
    logs = read(connection, write(tmp_path, log(0, own), log(1, own)), tmp_path)
    assert logs.current["category"].to_pyarrow().unique().to_pylist() == ["own"]


def test_csv_files_give_the_same_types(connection, tmp_path):
    columns = {"score": [0.25, 0.5, 0.75] * (NUM // 3), "action": ["click", "like", "hide"] * (NUM // 3)}
    sources = write(tmp_path, log(0, columns), log(1, columns))
    for name in ("reference", "current"):
        table = pq.read_table(tmp_path / f"{name}.parquet")
        pyarrow.csv.write_csv(table, tmp_path / f"{name}.csv")
    sources = sources._replace(reference=tmp_path / "reference.csv", current=tmp_path / "current.csv")
    logs = read(connection, sources, tmp_path)
    assert logs.types["score"] == "numeric" and logs.types["action"] == "categorical"
    assert logs.current["score"].mean().to_pyarrow().as_py() == 0.5


def test_rows_without_a_user_are_left_out_and_a_log_of_such_rows_alone_is_refused(connection, tmp_path):
    table = log(1, {"score": [0.5] * NUM})
    users = table["user_id"].to_pylist()
    partly = table.set_column(0, "user_id", pa.array([None, *users[1:]], pa.string()))
    sources = write(tmp_path, log(0, {"score": [0.5] * NUM}), partly)
    logs = read(connection, sources, tmp_path)
    assert (logs.current.count().to_pyarrow().as_py(), logs.left_out) == (NUM - 1, (0, 1))
    pq.write_table(table.set_column(0, "user_id", pa.nulls(NUM, pa.string())), tmp_path / "current.parquet")
    (tmp_path / "again").mkdir()
    with pytest.raises(InputError, match="current: no row has user_id, scenario, timestamp"):
        read(connection, sources, tmp_path / "again")


def test_an_absent_column_is_named(connection, tmp_path):
    sources = write(tmp_path, log(0, {"x": [1.0] * NUM}).drop_columns("scenario"), log(1, {"x": [1.0] * NUM}))
    with pytest.raises(InputError, match="reference: there is no column scenario; seen: user_id, item_id"):
        read(connection, sources, tmp_path)


def test_vectors_without_a_list_are_refused(connection, tmp_path):
    sources = write(tmp_path, log(0, {"x": [1.0] * NUM}), log(1, {"x": [1.0] * NUM}))
    with pytest.raises(InputError, match="vectors: seen item_id .* Give a table with item_id and one column of lists"):
        read(connection, sources._replace(vectors=sources.items), tmp_path)
