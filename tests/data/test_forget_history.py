"""Forget history: a user's events leave the arrays of a data folder; all others keep theirs, and their splits."""

import json

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.forget import check_logs, forget_in_run
from redrec.data.histories import Histories
from redrec.data.person import Forgotten, Person
from redrec.data.prepare import DataConfig, prepare
from tests.bundles import write_data, write_tables


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path)


@pytest.fixture
def empty(tmp_path):
    """A run folder without files."""
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def of_users(folder):
    """Return each user's events in the arrays, as lists, and how many of them are for training."""
    histories = Histories(folder)
    fields = (histories.item_N, histories.action_N, histories.scenario_N, histories.timestamp_ms_N, histories.split_N)
    rows = {}
    for user, user_id in enumerate(histories.user_ids):
        own = slice(histories.begin_U[user], histories.end_U[user])
        rows[user_id] = (histories.num_train_U[user], *(field[own].tolist() for field in fields))
    return rows


def test_a_data_folder_equals_one_prepared_without_the_user(data, empty, tmp_path):
    """Except that the cutoff of the split stays that of the whole log."""
    before = of_users(data)
    check_logs([data], Person("user-1"))
    results = forget_in_run(empty, [data], Person("user-1"))
    assert results[str(data / "events.parquet")] == results[str(data / "histories")] == Forgotten(10, 0)
    assert of_users(data) == {user: rows for user, rows in before.items() if user != "user-1"}

    events, items = write_tables(tmp_path / "again")
    table = pq.read_table(events)
    pq.write_table(table.filter(pc.not_equal(table["user_id"], "user-1")), events)
    prepare(events, items, tmp_path / "without", DataConfig())
    assert pq.read_table(data / "events.parquet").equals(pq.read_table(tmp_path / "without" / "events.parquet"))
    without = of_users(tmp_path / "without")
    assert {user: rows[1:-1] for user, rows in of_users(data).items()} == {user: r[1:-1] for user, r in without.items()}


def test_a_data_folder_loses_one_scenario_and_the_counts_follow(data, empty):
    """For a user who loses events of training and of test."""
    number = json.loads((data / "split.json").read_text())["scenarios"].index("ads")
    before = of_users(data)
    splits_cut = {}
    for user, rows in before.items():
        splits_cut[user] = [split for scenario, split in zip(rows[3], rows[5], strict=True) if scenario == number]
    user_id = next(user for user, splits in splits_cut.items() if len(set(splits)) == 2)
    results = forget_in_run(empty, [data], Person(user_id, "ads"))

    num_cut = len(splits_cut[user_id])
    assert results[str(data / "events.parquet")] == results[str(data / "histories")] == Forgotten(num_cut, 0)
    after = of_users(data)
    num_train, *_, scenarios, _, splits = after[user_id]
    assert scenarios == [scenario for scenario in before[user_id][3] if scenario != number]
    assert num_train == splits.count(0)
    assert {**after, user_id: None} == {**before, user_id: None}


def test_no_byte_of_a_data_folder_names_the_user(data, empty):
    """Parquet is read decoded: its pages are compressed."""
    forget_in_run(empty, [data], Person("user-1"))
    tables = list(data.rglob("*.parquet"))
    texts = [str(pq.read_table(path).to_pylist()) for path in tables]
    others = [path.read_bytes().decode("latin-1") for path in data.rglob("*") if path.is_file() and path not in tables]
    assert not [text for text in (*texts, *others) if "user-1'" in text or "user-1," in text]


def test_a_folder_of_the_user_alone_is_to_be_removed(empty, tmp_path):
    prepare(*write_tables(tmp_path / "tables", num_users=1), tmp_path / "data")
    with pytest.raises(InputError, match="holds events of user user-0 alone. Remove the folder"):
        forget_in_run(empty, [tmp_path / "data"], Person("user-0"))
