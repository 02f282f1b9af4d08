"""What the tests of the commands share: two tiny tables, and a call that returns exit status and error."""

from pathlib import Path

import pytest

from cli.main import main

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
