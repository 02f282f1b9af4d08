"""`redrec items`: new items into a real run, embedded by the model that the run has trained."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from redrec.bundle.builder import complete
from redrec.bundle.reader import Bundle
from redrec.folders import BundleFolder, ModelFolder, RunFolder
from redrec.index.cleanup import clean_up
from redrec.index.connection import connect
from redrec.index.milvus import collection_name
from redrec.index.server import URI, MilvusServer
from serving.client import query
from tests.bundles import hashed_files
from tests.faults import killed_command
from tests.full_disk import with_small_disk
from tests.milvus_server import MISSING, is_installed, milvus_server
from tests.redis_server import free_port
from tests.serving.clients import Clients, shown
from tests.serving.processes import end, start, wait_until_ready
from tests.serving.retrieval import PATIENT
from tests.worlds import TinyRun

EMBEDDING = "redrec.model.encoders.content.EncodingProgress.show", 1
INSERT = "pymilvus.MilvusClient.flush", 1
VERIFICATION = "pymilvus.MilvusClient.search", 2
ACTIVATION = "redrec.atomic._replace", 2  # the first is that of the copy that is kept


@pytest.fixture
def run(tiny_run: TinyRun, tmp_path: Path) -> RunFolder:
    """A copy of a run, without its features."""
    shutil.copytree(tiny_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("features"))
    return RunFolder(tmp_path / "run")


def items(run: RunFolder, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, object]:
    assert main(["items", "--run", str(run.path), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def as_csv(bundle: Bundle, item: str, item_id: str, path: Path) -> str:
    title = bundle.items["title"][bundle.item_index[item]].as_py()  # all that the world's items have
    path.write_text(f"item_id,title\n{item_id},{title}\n")
    return str(path)


def test_a_new_item_with_the_content_of_another_gets_its_vectors(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before = Bundle.load(run.bundle)
    result = items(run, capsys, "--items", as_csv(before, before.item_ids[5], "zz-new", tmp_path / "new.csv"))
    after = Bundle.load(run.bundle)
    assert (result["new"], result["changed"], result["items"]) == (1, 0, len(before.item_ids) + 1)
    assert (result["before"], result["bundle"]) == (before.manifest.id, after.manifest.id)
    assert after.item_ids[-1] == "zz-new"
    assert np.allclose(after.embeddings_ND[-1], after.embeddings_ND[5], atol=2e-3)
    assert not np.allclose(after.embeddings_ND[-1], after.embeddings_ND[6], atol=2e-3)


def test_a_window_is_brought_without_a_model_and_a_bad_one_is_set_aside(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before, new = Bundle.load(run.bundle), tmp_path / "new.csv"
    shutil.rmtree(run.model)
    rows = [f"{item},{title},2026-05-01" for item, title in zip(before.item_ids, before.items["title"], strict=True)]
    new.write_text("\n".join(["item_id,title,available_until", *rows, "zz-new,Tea,soon"]))
    result = items(run, capsys, "--items", str(new))
    assert (result["new"], result["kept"]) == (0, len(before.item_ids))
    row = "item_id=zz-new, title=Tea, available_until=soon"
    assert result["set_aside"] == [f"1 x available_until is not a time (such as: {row})"]
    ends = Bundle.load(run.bundle).items["available_until"].to_pylist()
    assert set(ends) == {datetime(2026, 5, 1, tzinfo=UTC)}


def test_an_item_is_withdrawn_without_a_model(run: RunFolder, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree(run.model)
    item = Bundle.load(run.bundle).item_ids[3]
    assert items(run, capsys, "--withdraw", item)["withdrawn"] == 1
    assert Bundle.load(run.bundle).items["scenarios"][3].as_py() == []


def test_the_bundle_before_and_the_new_one_are_hashed_once(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    item, names = Bundle.load(run.bundle).item_ids[3], hashed_files(monkeypatch)
    items(run, capsys, "--withdraw", item)
    assert sorted(names) == sorted(2 * BundleFolder.HASHED)


def problem(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["items", *arguments]) == 2
    return capsys.readouterr().err


def test_nothing_to_do_is_said(run: RunFolder, capsys: pytest.CaptureFixture[str]):
    assert "give --items with new and changed items" in problem(capsys, "--run", str(run.path))


def test_a_model_that_is_absent_or_another_is_refused(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    new = as_csv(Bundle.load(run.bundle), Bundle.load(run.bundle).item_ids[5], "zz-new", tmp_path / "new.csv")
    options = ("--run", str(run.path), "--items", new, "--model")
    assert "There is no model in" in problem(capsys, *options, str(tmp_path / "none"))
    shutil.copytree(run.model, tmp_path / "other")
    with ModelFolder(tmp_path / "other").tower.open("ab") as tower:
        tower.write(b"another")
    assert "is not the model of bundle" in problem(capsys, *options, str(tmp_path / "other"))


def test_a_full_disk_is_said_and_the_bundle_stays(run: RunFolder, tmp_path: Path):
    bundle = Bundle.load(run.bundle)
    new = as_csv(bundle, bundle.item_ids[5], "zz-new", tmp_path / "new.csv")
    size_kib = 100 + sum(-(-path.stat().st_size // 4096) * 4 for path in run.path.rglob("*"))
    disk = tmp_path / "disk"
    disk.mkdir()
    load = f"from pathlib import Path; from redrec.bundle.reader import Bundle; print(Bundle.load(Path('{disk}/run/bundle')).manifest.id)"
    script = (
        f'cp -r {run.path} {disk}/run && $PYTHON -m cli.main items --run {disk}/run --items {new}; $PYTHON -c "{load}"'
    )
    result = with_small_disk(disk, size_kib, script)
    assert "the disk is full. What was there is as it was." in result.stderr
    assert result.stdout.strip() == bundle.manifest.id


@pytest.fixture
def milvus(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[MilvusServer]:
    """The real server with the collection of the run's bundle, named in the environment."""
    if not is_installed():
        pytest.skip(MISSING)
    with milvus_server(run.path.parent / "milvus") as started:
        server = MilvusServer(uri=f"http://{started.address}")
        manifest = Bundle.load(run.bundle).manifest
        complete(BundleFolder(run.bundle), manifest, manifest.index.config, server)
        monkeypatch.setenv(URI, server.uri)
        yield server


@pytest.fixture
def clients(run: RunFolder, milvus: MilvusServer, tmp_path: Path) -> Iterator[Clients]:
    """Clients of a server of the run; the limits of its stages are those of a busy machine."""
    bundle, port, config = Bundle.load(run.bundle), free_port(), tmp_path / "serving.json"
    config.write_text(PATIENT.model_dump_json())
    process = start("--bundle", str(run.bundle), "--serving_config", str(config), "--http_port", str(port))
    event = {"item_id": bundle.item_ids[5], "action": bundle.manifest.actions[0], "timestamp_ms": 1_700_000_000_000}
    history, url = [event | {"scenario": "search"}], f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        with Clients(partial(query, url, "u", "search", 400, history=history, timeout_s=60), 1) as clients:
            yield clients
    finally:
        end(process)


def collections(server: MilvusServer) -> set[str]:
    client = connect(server)
    names = set(client.list_collections())
    client.close()
    return names


@pytest.mark.milvus
@pytest.mark.slow
def test_a_command_killed_at_any_moment_leaves_the_bundle_before_in_service_and_the_next_one_completes(
    run: RunFolder, milvus: MilvusServer, clients: Clients, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before = Bundle.load(run.bundle)
    first, folder = before.manifest.id, ("--run", str(run.path))
    new = as_csv(before, before.item_ids[5], "zz-new", tmp_path / "new.csv")
    other = as_csv(before, before.item_ids[6], "zz-other", tmp_path / "other.csv")
    for moment in (EMBEDDING, INSERT, VERIFICATION, ACTIVATION):
        assert killed_command(*moment, "items", *folder, "--items", new), moment
        assert Bundle.load(run.bundle).manifest.id == first, moment
        clients.seconds_until(lambda answer: answer["bundle_id"] == first)
    assert killed_command(*INSERT, "items", *folder, "--items", other)  # never run again
    second = str(items(run, capsys, "--items", new)["bundle"])
    clients.seconds_until(lambda answer: answer["bundle_id"] == second and "zz-new" in shown(answer))

    known = {collection_name(first), collection_name(second)}
    (orphan,) = collections(milvus) - known
    cleaned = clean_up(milvus, 0, [first, second], timedelta(0))
    assert list(map(collection_name, cleaned.removed)) == [orphan] and collections(milvus) == known

    assert killed_command(*ACTIVATION, "activate", *folder, "--bundle", first)
    assert Bundle.load(run.bundle).manifest.id == second
    assert main(["activate", *folder, "--bundle", first]) == 0
    clients.seconds_until(lambda answer: answer["bundle_id"] == first)
    assert clients.errors == [] and {answer["source"] for answer in clients.answers} == {"model"}
    assert not [path for path in os.listdir(run.path) if path.startswith(".")]  # no leftovers of the killed ones
