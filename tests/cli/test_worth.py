"""`redrec worth`: the table and the picture of what a scenario's events are worth."""

import json
from pathlib import Path

import pytest

from cli.main import main
from tests.cli.conftest import status_and_error

NONE = {"value": None, "low": None, "high": None, "users": 0}
FEW = {"value": 0.0, "low": None, "high": None, "users": 3}
VALUES = {
    "feed": {
        "feed": {"hit_rate@10": {"value": 0.21, "low": 0.19, "high": 0.23, "users": 70}},
        "<b>ads": {"hit_rate@10": {"value": -0.01, "low": -0.02, "high": 0.0, "users": 70}},
    },
    "<b>ads": {"feed": {"hit_rate@10": NONE}, "<b>ads": {"hit_rate@10": FEW}},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "metrics.json").write_text(json.dumps({"scenario_value": VALUES}))
    return tmp_path


def test_it_prints_the_loss_without_each_scenario(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["worth", "--run", str(run)]) == 0
    text = capsys.readouterr().out
    assert "0.210 [0.190, 0.230]" in text
    assert "no users" in text and "0.000 [too few: 3 users]" in text


def test_it_writes_a_picture_that_loads_nothing(run: Path, capsys: pytest.CaptureFixture[str]):
    page = run / "worth.html"
    assert main(["worth", "--run", str(run), "--html", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == VALUES
    text = page.read_text()
    assert "http" not in text
    assert "too few users: 3" in text
    assert "without &lt;b&gt;ads" in text and "<b>" not in text
    assert "rgba(59, 110, 168, 0.70)" in text  # the greatest value, a loss
    assert "rgba(181, 72, 47, 0.03)" in text


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    status, error = status_and_error(capsys, "worth", "--run", tmp_path)
    assert status == 2
    assert "has no metrics.json. Give the folder of a finished `redrec run`" in error
