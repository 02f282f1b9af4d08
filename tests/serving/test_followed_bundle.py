"""A real server whose bundle is replaced while clients query it."""

import os
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from redrec.bundle.activate import activate, replacing
from redrec.bundle.reader import Bundle
from redrec.bundle.refresh import refresh_bundle
from redrec.folders import BundleFolder, RunFolder
from serving.client import query
from serving.followed_bundle import FollowedBundle
from tests.bundles import item_rows, planted_embed, tiny_run
from tests.redis_server import free_port
from tests.serving.clients import Clients, shown
from tests.serving.processes import end, start, wait_until_ready
from tests.serving.retrieval import PATIENT, SEEN

HISTORY = [
    {"item_id": item, "action": "click", "scenario": "homefeed", "timestamp_ms": 1_700_000_000_000 + i}
    for i, item in enumerate(SEEN)
]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    tiny_run(tmp_path)
    return RunFolder(tmp_path)


@pytest.fixture
def server(run: RunFolder) -> Iterator[tuple[str, subprocess.Popen]]:
    port, config = free_port(), run.path / "serving.json"
    config.write_text(PATIENT.model_dump_json())
    folders = ("--bundle", str(run.bundle), "--features", str(run.features))
    process = start(*folders, "--serving_config", str(config), "--http_port", str(port))
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        end(process)


def refresh(run: RunFolder, *rows: dict[str, object], withdrawn: tuple[str, ...] = ()) -> str:
    with replacing(run) as live:
        refresh_bundle(live, item_rows(*rows), withdrawn, run.bundle, planted_embed)
    return Bundle.load(run.bundle).manifest.id


def test_items_come_and_go_under_load_without_an_error(run: RunFolder, server: tuple[str, subprocess.Popen]):
    first = Bundle.load(run.bundle).manifest.id
    ask = partial(query, server[0], "u1", "search", 48, history=HISTORY, exclude_seen=False)
    with Clients(ask) as clients:
        clients.seconds_until(lambda answer: "item-004" in shown(answer))
        second = refresh(run, {"item_id": "x1", "title": "New"}, withdrawn=("item-004",))
        seconds = clients.seconds_until(lambda answer: "x1" in shown(answer))
        num_before = len(clients.answers)
        activate(run, first)
        clients.seconds_until(lambda answer: answer["bundle_id"] == first)
    print(f"{len(clients.answers)} answers; a new item was there and a withdrawn one gone after {seconds:.1f} s")
    assert not clients.errors and {answer["source"] for answer in clients.answers} == {"model"}
    assert {answer["bundle_id"] for answer in clients.answers} == {first, second}
    of_second = [answer for answer in clients.answers if answer["bundle_id"] == second]
    assert all("x1" in shown(answer) and "item-004" not in shown(answer) for answer in of_second)
    assert num_before > 0


def test_a_broken_bundle_is_refused_and_the_one_before_goes_on(run: RunFolder, server: tuple[str, subprocess.Popen]):
    first, (url, process) = Bundle.load(run.bundle).manifest.id, server
    with replacing(run):
        pass  # it is kept now
    for _ in range(2):  # with another manifest each time
        (run.bundle / "ranker.npz").unlink()
        (run.bundle / "ranker.npz").write_bytes(b"broken")
        os.utime(BundleFolder(run.bundle).manifest)
        time.sleep(3)
        assert query(url, "u1", "search", 5, history=HISTORY)["bundle_id"] == first
    process.terminate()
    assert process.stderr.read().count("bundle: refused") == 2


def test_a_folder_is_new_once_its_manifest_was_replaced(run: RunFolder):
    followed = FollowedBundle(run.bundle)
    assert not followed.is_new()
    refresh(run, withdrawn=("item-004",))
    assert followed.is_new()
    followed.load()
    assert not followed.is_new()
