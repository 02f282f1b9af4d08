"""`redrec drift`: two logs are compared, one by one or many at once; what cannot be read is named."""

import json
from pathlib import Path

import pytest

from cli.main import main
from redrec.folders import DriftFolder, read_json
from tests.cli.conftest import status_and_error
from tests.drift.worlds import Planted, write_world

FILES = ("reference", "current", "items", "vectors")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch") / "one"
    return write_world(folder, 0, 1500, {"search": Planted(category=0.25)})


def words(folder: Path) -> list[str]:
    return ["drift", *(f"--{name}={folder / name}.parquet" for name in FILES)]


def test_the_planted_drift_is_printed_and_written(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([*words(world), "--out", str(tmp_path / "out"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == read_json(DriftFolder(tmp_path / "out").verdicts)
    verdicts = {name: scenario["verdict"] for name, scenario in printed["scenarios"].items()}
    assert verdicts == {"ads": "stable", "homefeed": "stable", "search": "drift"}
    search = printed["scenarios"]["search"]
    assert set(search) >= {"verdict", "action", "reason", "users", "columns", "interests"}
    assert search["columns"]["category"].keys() >= {"test", "p", "p_adjusted", "effect", "floor", "verdict"}


def test_the_text_names_scenario_column_size_and_action(world: Path, capsys: pytest.CaptureFixture[str]):
    assert main(words(world)) == 0
    text = capsys.readouterr().out
    assert "search    drift    watch" in text
    assert "share of 'c0'" in text


def test_higher_floors_leave_nothing_to_report(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    floors = {"search": {"category": {"values": 0.9}, "item vectors": {"distance": 0.9}}}
    (tmp_path / "floors.json").write_text(json.dumps({"num_pairs": 8, "floors": floors}))
    assert main([*words(world), "--calibration", str(tmp_path / "floors.json"), "--json"]) == 0
    search = json.loads(capsys.readouterr().out)["scenarios"]["search"]
    assert (search["verdict"], search["columns"]["category"]["floor"]) == ("stable", 0.9)


def test_a_batch_has_a_line_for_each_folder_also_for_one_that_cannot_be_read(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "good").symlink_to(world)
    (tmp_path / "other").mkdir()
    assert main(["drift", "--batch", str(tmp_path), "--json"]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["folder"] == "good" and lines[0]["scenarios"]["search"]["verdict"] == "drift"
    assert lines[1]["folder"] == "other" and "reference.*" in lines[1]["error"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--reference", "r.parquet"], "--current, --items is missing"),
        (["--batch", ".", "--items", "i.parquet"], "--batch has the tables in its folders"),
        (["--reference", "none.parquet", "--current", "c", "--items", "i"], "none.parquet does not exist"),
    ],
)
def test_wrong_options_are_refused_with_what_to_do(wrong: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    status, error = status_and_error(capsys, "drift", *wrong)
    assert status == 2 and message in error
