"""`redrec validate`: the report as text, as JSON and as one HTML page."""

import json
from pathlib import Path

import pytest

from cli.main import main
from tests.cli.conftest import EVENTS


def test_validate_says_what_it_read_and_why_rows_are_set_aside(
    tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    events, items = tables
    good = "".join(f"u{i},i1,ads,click,2024-01-01 00:00:00\n" for i in range(2, 60))
    events.write_text(EVENTS + good + "u99,absent,ads,click,2024-01-01 00:00:00\n")

    assert main(["validate", "--events", str(events), "--items", str(items)]) == 0

    text = capsys.readouterr().out
    assert "59 of 60 rows kept" in text
    assert "mapping contract" in text
    assert "1 in quarantine" in text and "absent" in text
    assert "timestamp: texts of times (UTC where they have no zone)" in text
    assert "2024-01-01 00:00  2024-01-01 00:00" in text  # first and last event
    assert "redrec run --events" in text


def test_validate_writes_its_report_as_one_page(tables: tuple[Path, Path], tmp_path: Path):
    events, items = tables
    good = "".join(f"u{i},i1,ads,click,2024-01-01 00:00:00\n" for i in range(2, 60))
    events.write_text(EVENTS + good + "<b>,,ads,click,2024-01-01 00:00:00\n")
    page = tmp_path / "quality.html"
    assert main(["validate", "--events", str(events), "--items", str(items), "--html", str(page)]) == 0
    text = page.read_text()
    assert "http" not in text  # it loads nothing
    assert "59 of 60 events kept" in text
    assert "user_id=&lt;b&gt;" in text  # rows as they came are text, not markup
    assert "59 of 59 events are at midnight UTC" in text
    assert "The column timestamp has texts of times" in text
    assert text.count("<td>2024-01-01 00:00</td>") == 2  # first and last event


def test_validate_prints_one_json_document(tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    events, items = tables
    assert main(["validate", "--events", str(events), "--items", str(items), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scenarios"]["ads"] == {
        "events": 1,
        "users": 1,
        "items": 1,
        "first_ms": 1_704_067_200_000,
        "last_ms": 1_704_067_200_000,
    }
