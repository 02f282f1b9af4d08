"""`redrec validate`: the report as text, as JSON and as one HTML page."""

import json
from pathlib import Path

import pytest

from cli.main import main
from tests.cli.conftest import EVENTS, status_and_error


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


def test_a_refused_table_is_reported_in_the_page(tables: tuple[Path, Path], tmp_path: Path, capsys):
    events, items = tables
    events.write_text(EVENTS + "u2,<b>absent</b>,ads,click,2024-01-01 00:00:00\n")
    page = tmp_path / "quality.html"
    status, error = status_and_error(capsys, "validate", "--events", events, "--items", items, "--html", page)
    assert status == 2
    assert f"The report is in {page}" in error
    text = page.read_text()
    for line in ("1 of 2 rows are bad", "item_id is not in the item table", "Events by time (UTC)", "Events per user"):
        assert line in text
    assert "&lt;b&gt;absent" in text and "<b>" not in text


def test_a_table_without_the_columns_is_shown_in_the_page(tables: tuple[Path, Path], tmp_path: Path, capsys):
    events, items = tables
    events.write_text("user,<i>when</i>\nu1,<b>soon</b>\n")
    page = tmp_path / "quality.html"
    assert status_and_error(capsys, "validate", "--events", events, "--items", items, "--html", page)[0] == 2
    text = page.read_text()
    assert "is missing; seen: user" in text
    assert "&lt;i&gt;when" in text and "&lt;b&gt;soon" in text


def test_columns_and_constants_are_options_and_stay_in_the_next_command(tables: tuple[Path, Path], capsys):
    events, items = tables
    events.write_text("user,item_id,ts,note\nu1,i1,1700000000,x\n")
    options = ["--map", "user=user_id", "--map", "ts=timestamp", "--set", "scenario=web shop,action=view"]
    assert main(["validate", "--events", str(events), "--items", str(items), *options]) == 0
    text = capsys.readouterr().out
    assert "columns used: user, item_id, ts\n  columns ignored: note" in text
    assert "--map user=user_id --map ts=timestamp --set 'scenario=web shop,action=view' --out runs/first" in text


def test_the_known_schemas_are_listed_without_tables(capsys: pytest.CaptureFixture[str]):
    assert main(["validate", "--schemas"]) == 0
    text = capsys.readouterr().out
    assert "amazon-2023: parent_asin, rating, timestamp, user_id" in text
    assert main(["validate", "--schemas", "--json"]) == 0
    assert {schema["schema"] for schema in json.loads(capsys.readouterr().out)["events"]} >= {"movielens", "red-mmu"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "required: --events, --items"),
        (["--map", "user"], "--map user is no list of names"),
        (["--map", "ts=time"], "time is none of our columns"),
        (["--set", "scenario=web"], "the table has a column scenario. Leave it out of --set"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(tables: tuple[Path, Path], capsys, options: list[str], message: str):
    given = ["--events", tables[0], "--items", tables[1], *options] if options else []
    status, error = status_and_error(capsys, "validate", *given)
    assert status == 2
    assert message in error
    assert error.count("\n") == 1


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
