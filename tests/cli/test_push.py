"""`redrec push`: new events are added, and an unknown item is refused with its reason."""

import json
from pathlib import Path

import pytest

from cli.main import main
from redrec.bundle.check import FORMAT
from redrec.folders import BundleFolder, RunFolder
from tests.bundles import tiny_run
from tests.cli.conftest import EVENTS, status_and_error


def test_known_items_are_added_and_unknown_ones_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bundle = tiny_run(tmp_path)
    (tmp_path / "new.csv").write_text(EVENTS.replace("i1", bundle.item_ids[0]) + "u1,nowhere,ads,click,2024-01-01\n")
    assert main(["push", "--run", str(tmp_path), "--events", str(tmp_path / "new.csv"), "--json"]) == 0
    pushed = json.loads(capsys.readouterr().out)
    assert (pushed["added"], list(pushed["refused"])) == (1, ["item_id is not in the item table"])


def test_what_is_wrong_is_said_before_feast_is_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """So the online store is not opened; it is not even there."""
    RunFolder(tmp_path).bundle.mkdir()
    manifest = BundleFolder(RunFolder(tmp_path).bundle).manifest
    manifest.write_text(json.dumps({"format": FORMAT, "config": {}}))
    nowhere = tmp_path / "nowhere"
    status, error = status_and_error(capsys, "push", "--run", nowhere, "--events", nowhere)
    assert (status, "Run folder" in error and "does not exist" in error) == (2, True)
    status, error = status_and_error(capsys, "push", "--run", tmp_path, "--events", nowhere)
    assert (status, f"events: {nowhere} does not exist" in error) == (2, True)
