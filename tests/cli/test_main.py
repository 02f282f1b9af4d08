"""The command line: what goes wrong is said, with its remedy and an exit status, and nothing is half-written."""

import json
import re
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import main, parser
from tests.bundles import tiny_run

EVENTS = "user_id,item_id,scenario,action,timestamp\nu1,i1,ads,click,2024-01-01 00:00:00\n"
ITEMS = "item_id,title\ni1,Green tea\n"


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    events, items = tmp_path / "events.csv", tmp_path / "items.csv"
    events.write_text(EVENTS)
    items.write_text(ITEMS)
    return events, items


def status_and_error(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str]:
    status = main([str(argument) for argument in argv])
    return status, capsys.readouterr().err


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        (EVENTS.replace("scenario,", "place,"), "scenario"),
        ("", "events.csv"),
        (None, "events.csv"),
    ],
    ids=["missing column", "0-byte file", "missing file"],
)
def test_unusable_input_exits_with_2_and_writes_nothing(
    command: str, events: str | None, complaint: str, tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    path, items = tables
    path.unlink() if events is None else path.write_text(events)
    out = path.parent / "out"

    status, error = status_and_error(capsys, command, "--events", path, "--items", items, "--out", out)

    assert status == 2
    assert complaint in error
    assert "Traceback" not in error
    left = {p.name for p in path.parent.rglob("*")} - {"events.csv", "items.csv"}
    assert left <= {"out", "log.txt"}


def test_a_run_folder_with_other_files_is_left_alone(tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    events, items = tables
    status, error = status_and_error(capsys, "run", "--events", events, "--items", items, "--out", events.parent)
    assert status == 2
    assert "events.csv" in error and "Give a new folder" in error
    assert events.read_text() == EVENTS


def test_an_unknown_recipe_key_is_named(tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    events, items = tables
    recipe = events.with_name("recipe.yaml")
    recipe.write_text("optimiser: {num_steps: 3}\n")
    status, error = status_and_error(
        capsys, "run", "--events", events, "--items", items, "--out", events.parent / "out", "--recipe", recipe
    )
    assert status == 2
    assert "optimiser" in error and "optimizer" in error


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


def test_validate_prints_one_json_document(tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    events, items = tables
    assert main(["validate", "--events", str(events), "--items", str(items), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scenarios"]["ads"] == {"events": 1, "users": 1, "items": 1}


def test_a_user_is_pushed_and_forgotten(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bundle = tiny_run(tmp_path)
    (tmp_path / "new.csv").write_text(EVENTS.replace("i1", bundle.item_ids[0]) + "u1,nowhere,ads,click,2024-01-01\n")
    assert main(["push", "--run", str(tmp_path), "--events", str(tmp_path / "new.csv"), "--json"]) == 0
    pushed = json.loads(capsys.readouterr().out)
    assert (pushed["added"], list(pushed["refused"])) == (1, ["item_id is not in the item table"])

    pq.write_table(pa.table({"user_id": ["u1", "u2"], "scenario": ["ads", "ads"]}), tmp_path / "users.parquet")
    pq.write_table(pa.table({"reason": ["x"], "row": ["y"], "table": ["events"]}), tmp_path / "quarantine.parquet")
    (tmp_path / "examples.json").write_text("[]")
    assert main(["forget", "--run", str(tmp_path), "--user", "u1", "--json"]) == 0
    places = json.loads(capsys.readouterr().out)["places"]
    assert places["sqlite online.db"] == places[str(tmp_path / "users.parquet")] == {"removed": 1, "left": 0}

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
    places = json.loads(capsys.readouterr().out)["places"]
    assert places[str(tmp_path / "data" / "events.parquet")] == {"removed": 10, "left": 0}

    kept = [path for path in tmp_path.rglob("*") if path.is_file() and tmp_path / "tables" not in path.parents]
    texts = [
        str(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else path.read_bytes()
        for path in kept
    ]
    assert not [path for path, text in zip(kept, texts, strict=True) if re.search(rb"user-1(?![0-9])", text)]


def test_compile_writes_the_pipeline_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "training.yaml"
    assert main(["compile", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"pipeline": str(out)}
    assert out.stat().st_size > 0


@pytest.mark.parametrize(
    "command", ["validate", "run", "serve", "query", "push", "forget", "compile", "train-job", "demo"]
)
def test_help_shows_a_command_that_parses(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    example = capsys.readouterr().out.split("Example:\n")[1].strip()
    words = shlex.split(example.split("|")[0])  # what follows is kubectl's
    assert words[:2] == ["redrec", command]
    parsed = parser().parse_args([*words[1:], "--json"])
    assert parsed.command == command and parsed.json
