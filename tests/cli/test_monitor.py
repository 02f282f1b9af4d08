"""`redrec monitor`: the verdicts with what follows from them; tests/pipelines/test_monitor.py has trainings."""

import json
from pathlib import Path

import pytest

from cli.main import main
from redrec.drift.history import read_history
from tests.cli.conftest import status_and_error
from tests.pipelines.test_monitor import RECIPE, write_tables


@pytest.mark.slow
def test_a_first_window_is_kept_and_watched(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    events, items = write_tables(tmp_path / "tables", "ads")
    recipe, history, out = tmp_path / "recipe.json", tmp_path / "history.jsonl", tmp_path / "report"
    recipe.write_text(RECIPE.model_dump_json())
    command = f"monitor --events {events} --items {items} --recipe {recipe} --history {history} --out {out} --json"
    assert main([*command.split(), "--run", str(tmp_path / "run")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["has_trained"], result["out"]) == (False, str(out))
    assert (result["scenarios"]["ads"]["verdict"], result["scenarios"]["ads"]["action"]) == ("drift", "watch")
    ((window),) = read_history(str(history)).windows
    assert window.scenarios["ads"].action_reason == result["scenarios"]["ads"]["action_reason"]


def test_a_folder_with_other_files_is_left_alone(
    tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    events, items = tables
    command = ["monitor", "--events", events, "--items", items, "--out"]
    status, error = status_and_error(capsys, *command, events.parent)
    assert status == 2
    assert "which no report wrote" in error
    status, error = status_and_error(capsys, *command, tmp_path / "report", "--run", events.parent)
    assert status == 2
    assert "which no run wrote" in error
