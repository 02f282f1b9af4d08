"""`redrec push`: new events are added, and an unknown item is refused with its reason."""

import json
from pathlib import Path

import pytest

from cli.main import main
from tests.bundles import tiny_run
from tests.cli.conftest import EVENTS


def test_known_items_are_added_and_unknown_ones_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bundle = tiny_run(tmp_path)
    (tmp_path / "new.csv").write_text(EVENTS.replace("i1", bundle.item_ids[0]) + "u1,nowhere,ads,click,2024-01-01\n")
    assert main(["push", "--run", str(tmp_path), "--events", str(tmp_path / "new.csv"), "--json"]) == 0
    pushed = json.loads(capsys.readouterr().out)
    assert (pushed["added"], list(pushed["refused"])) == (1, ["item_id is not in the item table"])
