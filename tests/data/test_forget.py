"""Forget: a user's rows leave the files of a run and a log; all other rows stay as they were."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.forget import check_logs, forget_in_run, forget_rows
from redrec.data.person import Forgotten, Person

ODD = "u*[1]'%_.\\d"  # special in regular expressions, SQL and globs


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
    results = forget_in_run(run, [run / "log.parquet"], Person("u1"))
    assert [(result.removed, result.left) for result in results.values()] == [
        (2, 0),
        (1, 0),
        (1, 0),
        (1, 0),
        (1, 0),
        (1, 0),
    ]
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
def test_nothing_is_rewritten_for_a_user_in_no_row(run, user_id):
    before = bytes_of(run)
    assert set(forget_in_run(run, [run / "log.parquet"], Person(user_id)).values()) == {Forgotten(0, 0)}
    assert bytes_of(run) == before


def test_an_id_that_is_a_pattern_matches_itself_only(run):
    for name, column, value in (("users", "user_id", ODD), ("quarantine", "row", bad_row(ODD))):
        rows = pq.read_table(run / f"{name}.parquet").to_pylist()
        pq.write_table(pa.Table.from_pylist([*rows, {**rows[0], column: value}]), run / f"{name}.parquet")
    results = forget_in_run(run, [], Person(ODD))
    assert sum(result.removed for result in results.values()) == 2
    assert pq.read_table(run / "users.parquet").num_rows == 4


def test_a_second_call_finds_and_rewrites_nothing(run):
    forget_in_run(run, [run / "log.parquet"], Person("u1"))
    before = {path: path.stat().st_ino for path in run.iterdir()}
    assert set(forget_in_run(run, [run / "log.parquet"], Person("u1")).values()) == {Forgotten(0, 0)}
    assert {path: path.stat().st_ino for path in run.iterdir()} == before


def test_files_that_a_run_does_not_have_are_skipped(tmp_path):
    assert forget_in_run(tmp_path, [], Person("u1")) == {}


def test_schema_codec_and_order_stay(tmp_path):
    """Over several batches; the first has rows of the user only."""
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


def test_ids_that_are_numbers_match(tmp_path):
    pq.write_table(pa.table({"user_id": [1, 12, None]}), tmp_path / "log.parquet")
    assert forget_rows(tmp_path / "log.parquet", Person("1")) == Forgotten(1, 0)
    assert pq.read_table(tmp_path / "log.parquet")["user_id"].to_pylist() == [12, None]


def test_a_linked_log_loses_the_user_in_the_file_that_the_link_names(tmp_path):
    pq.write_table(pa.table({"user_id": ["u1", "u2"]}), tmp_path / "log.parquet")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "log.parquet")
    assert forget_rows(tmp_path / "link.parquet", Person("u1")) == Forgotten(1, 0)
    assert (tmp_path / "link.parquet").is_symlink()
    assert pq.read_table(tmp_path / "log.parquet")["user_id"].to_pylist() == ["u2"]


def test_rows_that_could_not_be_removed_are_counted_as_left(run, monkeypatch):
    """The second count detects a file that was not rewritten."""
    monkeypatch.setattr("redrec.atomic.os.replace", lambda fresh, path: None)
    results = forget_in_run(run, [run / "log.parquet"], Person("u1"))
    assert (
        [result.left for result in results.values()]
        == [result.removed for result in results.values()]
        == [2, 1, 1, 1, 1, 1]
    )


def test_a_file_that_may_not_be_rewritten_is_named_and_stays_as_it_was(run, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    before = bytes_of(run)
    monkeypatch.setattr("redrec.atomic.os.replace", refuse)
    with pytest.raises(InputError, match=r"users.parquet could not be rewritten and is as it was.*run it again"):
        forget_in_run(run, [], Person("u1"))
    assert bytes_of(run) == before


def test_a_log_without_the_needed_columns_is_refused(run):
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
