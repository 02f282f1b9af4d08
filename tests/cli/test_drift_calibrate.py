"""`redrec drift calibrate`: floors from past weeks, which `redrec drift` reads."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import main
from tests.cli.conftest import status_and_error
from tests.drift.worlds import weeks, write_world


@pytest.mark.parametrize(("num_weeks", "is_enough"), [(9, True), (3, False)])
def test_floors_are_written_if_there_are_enough_pairs_and_drift_reads_them(
    num_weeks: int, is_enough: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = write_world(tmp_path, 0, 1000)
    pq.write_table(pa.concat_tables(weeks(0, 1000, num_weeks=num_weeks)), tmp_path / "past.parquet")
    items, out = f"--items={folder / 'items.parquet'}", tmp_path / "floors.json"
    assert main(["drift", "calibrate", f"--events={tmp_path / 'past.parquet'}", items, f"--out={out}", "--json"]) == 0
    printed = capsys.readouterr()
    calibration = json.loads(printed.out)
    assert calibration == json.loads(out.read_text())
    assert (calibration["num_pairs"], bool(calibration["floors"])) == (num_weeks - 1, is_enough)
    assert ("the fixed floors hold" in printed.err) != is_enough
    tables = [f"--{name}={folder / name}.parquet" for name in ("reference", "current")]
    assert main(["drift", *tables, items, f"--calibration={out}"]) == 0


def test_windows_have_a_day_or_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["drift", "calibrate", "--events=e", "--items=i", f"--out={tmp_path / 'o.json'}", "--days=0"]
    status, error = status_and_error(capsys, *words)
    assert status == 2 and "--days 0 is not allowed" in error
