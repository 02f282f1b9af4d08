"""`redrec forget`: the user is removed from store, results and logs, and the rows that remain are counted."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import main
from redrec.folders import DataFolder, RunFolder
from tests.bundles import tiny_run
from tests.cli.conftest import EVENTS, status_and_error


def test_a_user_is_removed_from_the_store_and_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bundle, run = tiny_run(tmp_path), RunFolder(tmp_path)
    (tmp_path / "new.csv").write_text(EVENTS.replace("i1", bundle.item_ids[0]))
    assert main(["push", "--run", str(tmp_path), "--events", str(tmp_path / "new.csv"), "--json"]) == 0
    capsys.readouterr()

    pq.write_table(pa.table({"user_id": ["u1", "u2"], "scenario": ["ads", "ads"]}), run.users)
    pq.write_table(pa.table({"reason": ["x"], "row": ["y"], "table": ["events"]}), run.quarantine)
    run.examples.write_text("[]")
    assert main(["forget", "--run", str(tmp_path), "--user", "u1", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert counts["sqlite online.db"] == counts[str(run.users)] == {"removed": 1, "left": 0}

    assert main(["forget", "--run", str(tmp_path), "--user", "u1"]) == 0
    assert "User u1 was found nowhere" in capsys.readouterr().out
    assert main(["forget", "--run", str(tmp_path), "--user", "u2"]) == 0
    assert "User u2, counted again after the removal" in capsys.readouterr().out


def test_what_is_left_of_a_user_is_named_with_exit_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    tiny_run(tmp_path)
    monkeypatch.setattr("feature_repo.forget._InSqlite.delete", lambda _: None)
    status, error = status_and_error(capsys, "forget", "--run", tmp_path, "--user", "user-1")
    assert (status, "sqlite online.db still hold something of user user-1" in error) == (1, True)
    status, error = status_and_error(capsys, "forget", "--run", tmp_path, "--user", "user-1", "--scenario", "shop")
    assert (status, "Unknown scenario 'shop'; of this store: " in error) == (2, True)


def test_a_data_folder_forgets_as_a_log_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Nothing that a run or data folder holds names the user afterwards, Parquet being read decoded."""
    tiny_run(tmp_path)
    argv = ["forget", "--run", tmp_path, "--user", "user-1", "--log", tmp_path / "data", "--json"]
    assert main([str(argument) for argument in argv]) == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert counts[str(DataFolder(tmp_path / "data").events)] == {"removed": 10, "left": 0}

    kept = [path for path in tmp_path.rglob("*") if path.is_file() and tmp_path / "tables" not in path.parents]
    texts = [
        str(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else path.read_bytes()
        for path in kept
    ]
    assert not [path for path, text in zip(kept, texts, strict=True) if re.search(rb"user-1(?![0-9])", text)]
