"""All commands: bad input exits with status 2 and a remedy, nothing is half-written, and each help has an example."""

import shlex
from pathlib import Path

import pytest

from cli.main import COMMANDS, main, parser
from redrec import __version__
from tests.cli.conftest import EVENTS, status_and_error


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
