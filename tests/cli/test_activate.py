"""`redrec activate`: an earlier bundle back, whether the one in service is sound or broken."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from redrec.bundle.reader import Bundle
from redrec.folders import BundleFolder, RunFolder
from tests.worlds import TinyRun


@pytest.fixture
def run(tiny_run: TinyRun, tmp_path: Path) -> RunFolder:
    """A run whose second bundle is in service, without its features."""
    shutil.copytree(tiny_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("features"))
    folder = RunFolder(tmp_path / "run")
    item = Bundle.load(folder.bundle).item_ids[3]
    assert main(["items", "--run", str(folder.path), "--withdraw", item]) == 0
    return folder


@pytest.fixture
def first(run: RunFolder) -> str:
    return next(iter(path.name for path in run.bundles.iterdir()))


def result(run: RunFolder, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["activate", "--run", str(run.path), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_bundle_is_activated_and_listed(run: RunFolder, first: str, capsys: pytest.CaptureFixture[str]):
    second = Bundle.load(run.bundle).manifest.id
    assert result(run, capsys, "--bundle", first) == {"live": first, "before": second, "problem": None}
    assert result(run, capsys) == {"live": first, "kept": [first, second], "problem": None}


def test_a_broken_bundle_in_service_gives_way_and_is_said(
    run: RunFolder, first: str, capsys: pytest.CaptureFixture[str]
):
    BundleFolder(run.bundle).manifest.write_text("{")
    broken = result(run, capsys)
    assert (broken["live"], broken["kept"]) == (None, [first]) and "cannot be read" in broken["problem"]
    assert main(["activate", "--run", str(run.path), "--bundle", first]) == 0
    assert f"was broken, and is set aside in {run.broken}: " in capsys.readouterr().out
    assert result(run, capsys)["live"] == first


def test_what_is_no_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["activate", "--run", str(tmp_path)]) == 2
    assert "is no run folder: it has no bundle" in capsys.readouterr().err
