"""`redrec publish`, `fetch` and `retain`: a folder goes to an object store and back, by the commands alone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import main
from tests import object_store
from tests.bundles import write_data

URL = "s3://redrec/releases"


@pytest.fixture
def bucket() -> Iterator[None]:
    with object_store.in_environment():
        yield


def redrec(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_folder_is_published_fetched_and_removed(bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = write_data(tmp_path)
    first = redrec(capsys, "publish", str(data), URL)
    assert first["bundle_id"] is None and first["num_sent"] > 3
    fetched = redrec(capsys, "fetch", first["url"], str(tmp_path / "out"))
    assert fetched["num_files"] == first["num_sent"]
    assert (tmp_path / "out" / "split.json").read_bytes() == (data / "split.json").read_bytes()

    (data / "note.txt").write_text("another content")
    second = redrec(capsys, "publish", str(data), URL, "--whole")
    served = redrec(capsys, "retain", URL, "--keep", "1", "--served", first["url"], second["url"])
    assert (len(served["kept"]), served["removed"]) == (2, [])
    rest = redrec(capsys, "retain", URL, "--keep", "1", "--served", "none")
    assert (len(rest["kept"]), len(rest["removed"])) == (1, 1)


def test_retain_wants_to_know_what_is_served(capsys: pytest.CaptureFixture[str]):
    """A shell command that fails inside `--served $(...)` leaves no word behind."""
    with pytest.raises(SystemExit) as stopped:
        main(["retain", URL, "--keep", "1", "--served"])
    assert stopped.value.code == 2
    assert "--served: expected at least one argument" in capsys.readouterr().err


def test_a_wrong_url_has_exit_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["publish", str(tmp_path), "bucket/x"]) == 2
    assert "bucket/x is no folder of an object store. Give one like s3://bucket/releases" in capsys.readouterr().err
