"""Forget: a user's rows leave the files of a run, a data folder and a log; everybody else's stay as they were."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.forget import Forgotten, Person, check_logs, forget_in_run, forget_rows
from redrec.data.histories import Histories
from redrec.data.prepare import DataConfig, prepare
from tests.bundles import write_data, write_tables

ODD = "u*[1]'%_.\\d"  # a pattern to anything that takes patterns


def bad_row(user, scenario="ads"):
    return f"user_id={user}, item_id=u1, scenario={scenario}, action=, timestamp=1"


@pytest.fixture
def run(tmp_path):
    """The files of a run folder that name users, and an experiment's log."""
    users = {
        "user_id": ["u1", "u1", "u12", "u2"],
        "scenario": ["ads", "homefeed", "ads", "ads"],
        "ranks": [[1], [2], [3], [4]],
    }
    pq.write_table(pa.table(users), tmp_path / "users.parquet")
    exposures = {"user_id": ["u2", "u1", None], "scenario": ["ads"] * 3, "arm": ["a", "b", "a"]}
    pq.write_table(pa.table(exposures), tmp_path / "log.parquet")
    bad = [bad_row(user) for user in ("u1", "u12", "u2")]
    quarantine = {"reason": ["action is missing"] * 3, "row": bad, "table": ["events"] * 3}
    pq.write_table(pa.table(quarantine), tmp_path / "quarantine.parquet")
    (tmp_path / "examples.json").write_text(json.dumps([{"user_id": user, "history": []} for user in ("u1", "u12")]))
    quality = {"events": {"quarantined": {"action is missing": 3}, "examples": {"action is missing": bad}}, "items": {}}
    (tmp_path / "data_quality.json").write_text(json.dumps(quality))
    (tmp_path / "log.txt").write_text(f"one\nsuch as: {bad_row('u1')}\nsuch as: {bad_row('u12')}\nż\n")
    return tmp_path


def bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_runs_files_lose_the_user_alone(run):
    found = forget_in_run(run, [run / "log.parquet"], Person("u1"))
    assert [(of.removed, of.left) for of in found.values()] == [(2, 0), (1, 0), (1, 0), (1, 0), (1, 0), (1, 0)]
    assert pq.read_table(run / "users.parquet").to_pydict() == {
        "user_id": ["u12", "u2"],
        "scenario": ["ads"] * 2,
        "ranks": [[3], [4]],
    }
    assert pq.read_table(run / "log.parquet")["user_id"].to_pylist() == ["u2", None]
    assert pq.read_table(run / "quarantine.parquet")["row"].to_pylist() == [bad_row("u12"), bad_row("u2")]
    assert [example["user_id"] for example in json.loads((run / "examples.json").read_text())] == ["u12"]
    events = json.loads((run / "data_quality.json").read_text())["events"]
    assert events["examples"] == {"action is missing": [bad_row("u12"), bad_row("u2")]}
    assert events["quarantined"] == {"action is missing": 3}
    assert (run / "log.txt").read_text() == f"one\nsuch as: {bad_row('u12')}\nż\n"


def test_a_runs_files_lose_one_scenario_alone(run):
    forget_in_run(run, [run / "log.parquet"], Person("u1", "homefeed"))
    assert pq.read_table(run / "users.parquet")["user_id"].to_pylist() == ["u1", "u12", "u2"]
    assert pq.read_table(run / "log.parquet").num_rows == pq.read_table(run / "quarantine.parquet").num_rows == 3
    assert "u1," in (run / "log.txt").read_text()


@pytest.mark.parametrize("user_id", ["u", "u*", "u%", "u1'", ".*", "u[12]", "u1, item_id=u1", ODD])
def test_nothing_is_rewritten_for_a_user_whom_nothing_names(run, user_id):
    before = bytes_of(run)
    assert set(forget_in_run(run, [run / "log.parquet"], Person(user_id)).values()) == {Forgotten(0, 0)}
    assert bytes_of(run) == before


def test_an_id_that_is_a_pattern_is_removed_by_its_letters(run):
    for name, column, value in (("users", "user_id", ODD), ("quarantine", "row", bad_row(ODD))):
        rows = pq.read_table(run / f"{name}.parquet").to_pylist()
        pq.write_table(pa.Table.from_pylist([*rows, {**rows[0], column: value}]), run / f"{name}.parquet")
    found = forget_in_run(run, [], Person(ODD))
    assert sum(of.removed for of in found.values()) == 2
    assert pq.read_table(run / "users.parquet").num_rows == 4


def test_a_second_time_finds_nothing_and_rewrites_nothing(run):
    forget_in_run(run, [run / "log.parquet"], Person("u1"))
    before = {path: path.stat().st_ino for path in run.iterdir()}
    assert set(forget_in_run(run, [run / "log.parquet"], Person("u1")).values()) == {Forgotten(0, 0)}
    assert {path: path.stat().st_ino for path in run.iterdir()} == before


def test_files_that_a_run_does_not_have_are_passed_over(tmp_path):
    assert forget_in_run(tmp_path, [], Person("u1")) == {}


def test_schema_codec_and_order_stay(tmp_path):
    """Over several batches, the first of which is the user's alone."""
    path, num_theirs = tmp_path / "log.parquet", 70_000
    users = pa.array(["u1"] * num_theirs + ["u2", "u1", "u3"] * 50_000).dictionary_encode()
    table = pa.table({"user_id": users, "n": pa.array(range(len(users)), pa.int32())}).replace_schema_metadata(
        {"a": "b"}
    )
    pq.write_table(table, path, compression="zstd")
    assert forget_rows(path, Person("u1")) == Forgotten(num_theirs + 50_000, 0)
    kept = pq.read_table(path)
    assert kept.schema.equals(table.schema, check_metadata=True)
    assert kept["n"].to_pylist() == [n for n in range(num_theirs, len(users)) if (n - num_theirs) % 3 != 1]
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_ids_that_are_numbers_are_found(tmp_path):
    pq.write_table(pa.table({"user_id": [1, 12, None]}), tmp_path / "log.parquet")
    assert forget_rows(tmp_path / "log.parquet", Person("1")) == Forgotten(1, 0)
    assert pq.read_table(tmp_path / "log.parquet")["user_id"].to_pylist() == [12, None]


def test_a_log_that_is_a_link_loses_the_user_where_it_points_to(tmp_path):
    pq.write_table(pa.table({"user_id": ["u1", "u2"]}), tmp_path / "log.parquet")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "log.parquet")
    assert forget_rows(tmp_path / "link.parquet", Person("u1")) == Forgotten(1, 0)
    assert (tmp_path / "link.parquet").is_symlink()
    assert pq.read_table(tmp_path / "log.parquet")["user_id"].to_pylist() == ["u2"]


def test_what_could_not_be_removed_is_counted_as_left(run, monkeypatch):
    """The proof is a proof: a file that stays as it was is found out."""
    monkeypatch.setattr("redrec.atomic.os.replace", lambda fresh, path: None)
    found = forget_in_run(run, [run / "log.parquet"], Person("u1"))
    assert [of.left for of in found.values()] == [of.removed for of in found.values()] == [2, 1, 1, 1, 1, 1]


def test_a_file_that_may_not_be_rewritten_is_named_and_stays_as_it_was(run, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    before = bytes_of(run)
    monkeypatch.setattr("redrec.atomic.os.replace", refuse)
    with pytest.raises(InputError, match=r"users.parquet could not be rewritten and is as it was.*run it again"):
        forget_in_run(run, [], Person("u1"))
    assert bytes_of(run) == before


def test_a_log_that_cannot_say_whose_a_row_is_is_refused(run):
    pq.write_table(pa.table({"who": ["u1"]}), run / "who.parquet")
    pq.write_table(pa.table({"user_id": ["u1"]}), run / "everywhere.parquet")
    with pytest.raises(InputError, match=r"has no column user_id; it has who"):
        check_logs([run / "who.parquet"], Person("u1"))
    with pytest.raises(InputError, match="has no column scenario"):
        check_logs([run / "everywhere.parquet"], Person("u1", "ads"))
    for log in (run / "examples.json", run, run / "nowhere.parquet"):
        with pytest.raises(InputError, match="is no Parquet file and no data folder"):
            check_logs([log], Person("u1"))


def test_a_user_without_an_id_is_refused_because_bad_rows_may_lack_one():
    with pytest.raises(InputError, match="--user is empty"):
        check_logs([], Person(""))


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
    places = zip(histories.begin_U, histories.end_U, histories.num_train_U, strict=True)
    rows = [(num_train, *(field[begin:end].tolist() for field in fields)) for begin, end, num_train in places]
    return dict(zip(histories.user_ids, rows, strict=True))


def test_a_data_folder_is_as_if_the_user_had_never_been(data, empty, tmp_path):
    """The second way: prepare the log without them. The moment of the split stays that of the whole log."""
    before = of_users(data)
    check_logs([data], Person("user-1"))
    found = forget_in_run(empty, [data], Person("user-1"))
    assert found[str(data / "events.parquet")] == found[str(data / "histories")] == Forgotten(10, 0)
    assert of_users(data) == {user: rows for user, rows in before.items() if user != "user-1"}

    events, items = write_tables(tmp_path / "again")
    table = pq.read_table(events)
    pq.write_table(table.filter(pc.not_equal(table["user_id"], "user-1")), events)
    prepare(events, items, tmp_path / "without", DataConfig())
    assert pq.read_table(data / "events.parquet").equals(pq.read_table(tmp_path / "without" / "events.parquet"))
    without = of_users(tmp_path / "without")
    assert {user: rows[1:-1] for user, rows in of_users(data).items()} == {user: r[1:-1] for user, r in without.items()}


def test_a_data_folder_loses_one_scenario_and_the_counts_follow(data, empty):
    """Of a user of whom both kinds of events go, those for training and those of the test."""
    number = json.loads((data / "split.json").read_text())["scenarios"].index("ads")
    before = of_users(data)
    parts_cut = {
        user: [part for scenario, part in zip(rows[3], rows[5], strict=True) if scenario == number]
        for user, rows in before.items()
    }
    user_id = next(user for user, parts in parts_cut.items() if len(set(parts)) == 2)
    found = forget_in_run(empty, [data], Person(user_id, "ads"))

    num_cut = len(parts_cut[user_id])
    assert found[str(data / "events.parquet")] == found[str(data / "histories")] == Forgotten(num_cut, 0)
    after = of_users(data)
    num_train, *_, scenarios, _, parts = after[user_id]
    assert scenarios == [scenario for scenario in before[user_id][3] if scenario != number]
    assert num_train == parts.count(0)
    assert {**after, user_id: None} == {**before, user_id: None}


def test_no_byte_of_a_data_folder_names_the_user(data, empty):
    """Parquet is read decoded: its pages are compressed."""
    forget_in_run(empty, [data], Person("user-1"))
    tables = list(data.rglob("*.parquet"))
    words = [str(pq.read_table(path).to_pylist()) for path in tables]
    others = [path.read_bytes().decode("latin-1") for path in data.rglob("*") if path.is_file() and path not in tables]
    assert not [text for text in (*words, *others) if "user-1'" in text or "user-1," in text]


def test_a_folder_of_the_user_alone_is_to_be_removed(empty, tmp_path):
    prepare(*write_tables(tmp_path / "tables", num_users=1), tmp_path / "data")
    with pytest.raises(InputError, match="holds events of user user-0 alone. Remove the folder"):
        forget_in_run(empty, [tmp_path / "data"], Person("user-0"))
