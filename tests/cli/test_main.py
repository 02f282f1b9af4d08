"""All commands: bad input exits with status 2 and a remedy, nothing is half-written, and each help has an example."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.main import COMMANDS, main, parser
from redrec import __version__
from tests.cli.conftest import EVENTS, status_and_error
from tests.cli.wrong_usages import EXPOSURES, FILES, OUTCOMES, SEEN_BY_THE_PARSER, WRONG


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        (EVENTS.replace("scenario,", "page,"), "scenario"),
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


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"redrec {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_a_command_that_parses(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    example = capsys.readouterr().out.split("Example:\n")[1].strip()
    words = shlex.split(example.splitlines()[-1].split("|")[0])  # kubectl comes after the |
    assert words[:2] == ["redrec", command]
    parsed = parser().parse_args([*words[1:], "--json"])
    assert parsed.command == command and parsed.json


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what may be given by mistake."""
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(content)
    pq.write_table(pa.table(EXPOSURES), tmp_path / "exposures.parquet")
    pq.write_table(pa.table(OUTCOMES), tmp_path / "outcomes.parquet")
    (tmp_path / "folder.yaml").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("command", "says"), WRONG, ids=[command for command, _ in WRONG])
def test_a_wrong_usage_is_one_line_that_says_what_to_do(
    command: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    before = contents(folder)
    assert main(command.split()) == 2
    shown = capsys.readouterr()
    *progress, line = shown.err.splitlines()
    assert says in line and line.startswith(f"redrec {command.split()[0]}: ") and line.endswith((".", "?"))
    assert (progress, shown.out) == ([], "")
    assert contents(folder) == before


@pytest.mark.parametrize(("command", "says"), SEEN_BY_THE_PARSER)
def test_an_option_that_is_wrong_is_named(command: str, says: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(command.split())
    assert says in capsys.readouterr().err.splitlines()[-1]


def test_a_mistake_that_can_be_seen_at_once_is_said_before_the_slow_imports(folder: Path):
    commands = [command.split() for command, _ in WRONG]
    script = (
        "import json, sys; from cli.main import main; [main(argv) for argv in json.loads(sys.argv[1])]; "
        "print(*{'torch', 'feast', 'kfp', 'kserve', 'pymilvus', 'transformers', 'evidently'} & set(sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    argv = [sys.executable, "-c", script, json.dumps(commands)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    assert len(ran.stderr.splitlines()) == len(commands)
    assert ran.stdout == "\n"
