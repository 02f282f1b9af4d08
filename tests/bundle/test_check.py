"""Bundle check: what is wrong with a folder is said before anything is opened."""

from pathlib import Path

import pytest

from redrec.bundle.check import check_bundle, check_run
from redrec.config import InputError


def test_a_bundle_and_its_run_pass(run: Path):
    check_bundle(run / "bundle")
    check_run(run)


def test_a_run_folder_is_no_bundle_and_its_bundle_is_named(run: Path):
    with pytest.raises(InputError, match=rf"is a run folder, not a bundle\. Give its bundle: {run}/bundle\."):
        check_bundle(run)


def test_a_folder_that_is_not_there_is_said_as_such(tmp_path: Path):
    with pytest.raises(InputError, match=r"Bundle folder .*nowhere does not exist"):
        check_bundle(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"Run folder .*nowhere does not exist"):
        check_run(tmp_path / "nowhere")


def test_a_bundle_is_no_run_folder(run: Path):
    with pytest.raises(InputError, match="no run folder: it has no bundle"):
        check_run(run / "bundle")


def test_a_broken_manifest_is_named(run: Path):
    (run / "bundle/bundle.json").write_text("{")
    with pytest.raises(InputError, match=r"bundle\.json cannot be read: .*\. Copy the bundle again"):
        check_bundle(run / "bundle")
