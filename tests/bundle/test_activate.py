"""Activate: the way back to an earlier bundle, and what a kill leaves at any moment."""

import random
import shutil
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from redrec.bundle.activate import NUM_KEPT, activate, kept_bundles, replacing
from redrec.bundle.reader import Bundle
from redrec.bundle.refresh import refresh_bundle
from redrec.config import InputError
from redrec.folders import BundleFolder, RunFolder
from tests.bundles import hashed_files, item_rows, planted_embed

NUM_KILLS = 15
CONTEXT = get_context("forkserver")  # of a process that has imported this module, so that no child has to
CONTEXT.set_forkserver_preload([__name__])


def with_item(run: RunFolder, item: str) -> str:
    """Bring an item into the bundle in service, and return the bundle's new id."""
    with replacing(run) as live:
        refresh_bundle(live, item_rows({"item_id": item, "title": f"The {item}"}), (), run.bundle, planted_embed)
    return Bundle.load(run.bundle).manifest.id


def test_an_earlier_bundle_comes_back_and_the_later_one_again(run: Path, built: Bundle):
    folder, first = RunFolder(run), built.manifest.id
    second = with_item(folder, "x1")
    assert [manifest.id for manifest in kept_bundles(folder)] == [first]
    assert activate(folder, first).bundle.item_ids == built.item_ids
    assert activate(folder, second).bundle.item_ids == [*built.item_ids, "x1"]
    assert {manifest.id for manifest in kept_bundles(folder)} == {first, second}


def test_the_bundle_that_comes_and_the_one_that_goes_are_hashed_once(
    run: Path, built: Bundle, monkeypatch: pytest.MonkeyPatch
):
    with_item(RunFolder(run), "x1")
    names = hashed_files(monkeypatch)
    activate(RunFolder(run), built.manifest.id)
    assert sorted(names) == sorted(2 * BundleFolder.HASHED)


def test_the_newest_bundles_are_kept(run: Path, built: Bundle):
    folder = RunFolder(run)
    ids = [built.manifest.id, *(with_item(folder, f"x{number}") for number in range(NUM_KEPT + 3))]
    kept = {manifest.id for manifest in kept_bundles(folder)}
    assert len(kept) == NUM_KEPT + 1 and ids[-2] in kept and ids[-1] not in kept


def test_a_bundle_that_is_not_kept_is_refused_with_those_that_are(run: Path, built: Bundle):
    with_item(RunFolder(run), "x1")
    with pytest.raises(InputError, match=f"keeps no bundle 'nope'; it keeps: {built.manifest.id}"):
        activate(RunFolder(run), "nope")


def test_a_broken_bundle_is_refused_and_the_live_one_stays(run: Path, built: Bundle):
    folder = RunFolder(run)
    second = with_item(folder, "x1")
    (folder.bundles / built.manifest.id / "ranker.npz").write_bytes(b"broken")
    with pytest.raises(InputError, match="ranker.npz"):
        activate(folder, built.manifest.id)
    assert Bundle.load(folder.bundle).manifest.id == second


@pytest.mark.parametrize("broken", ["ranker.npz", "bundle.json"])
def test_a_broken_live_bundle_is_set_aside_for_an_earlier_one(run: Path, built: Bundle, broken: str):
    folder = RunFolder(run)
    with_item(folder, "x1")
    (folder.bundle / broken).write_bytes(b"broken")
    result = activate(folder, built.manifest.id)
    assert result.before is None and broken in (result.problem or "")
    assert Bundle.load(folder.bundle).manifest.id == built.manifest.id
    assert (folder.broken / broken).read_bytes() == b"broken"


def test_a_live_bundle_that_is_gone_hinders_no_activation(run: Path, built: Bundle):
    folder = RunFolder(run)
    with_item(folder, "x1")
    shutil.rmtree(folder.bundle)
    assert activate(folder, built.manifest.id).problem is not None
    assert Bundle.load(folder.bundle).manifest.id == built.manifest.id and not folder.broken.exists()


def test_a_broken_copy_of_a_kept_bundle_is_replaced_when_a_sound_one_is_in_service(run: Path, built: Bundle):
    folder, first = RunFolder(run), built.manifest.id
    with_item(folder, "x1")
    shutil.rmtree(folder.bundle)
    shutil.copytree(built.path, folder.bundle)
    (folder.bundles / first / "ranker.npz").write_bytes(b"broken")
    with_item(folder, "x2")
    assert activate(folder, first).bundle.manifest.id == first


def test_a_kept_bundle_that_cannot_be_read_hinders_no_other(run: Path, built: Bundle):
    folder = RunFolder(run)
    second, third = with_item(folder, "x1"), with_item(folder, "x2")
    (folder.bundles / second / "bundle.json").write_text("{")
    assert [manifest.id for manifest in kept_bundles(folder)] == [built.manifest.id]
    assert activate(folder, built.manifest.id).before == third
    with pytest.raises(InputError, match=r"bundle\.json cannot be read"):
        activate(folder, second)


def test_a_kept_bundle_that_cannot_be_read_is_removed_once_enough_newer_ones_are_kept(run: Path, built: Bundle):
    folder = RunFolder(run)
    with_item(folder, "x0")
    broken = folder.bundles / built.manifest.id
    (broken / "bundle.json").write_text("{")
    for number in range(1, NUM_KEPT + 2):  # x0 is older than the fault
        with_item(folder, f"x{number}")
        assert broken.is_dir()
    with_item(folder, "x9")
    assert not broken.exists() and len(kept_bundles(folder)) == NUM_KEPT + 1


def back_and_forth(path: Path, ids: Sequence[str], steps: Any) -> None:
    steps.release()
    while True:
        for bundle_id in ids:
            activate(RunFolder(path), bundle_id)
            steps.release()


def item_after_item(path: Path, steps: Any) -> None:
    steps.release()
    for number in range(100_000):
        with_item(RunFolder(path), f"x{number}")
        steps.release()


def kill_at_a_random_moment(work: Callable[..., None], *arguments: object, seed: int, limit_s: float = 0.3) -> None:
    """Kill `work` within `limit_s` of its start, or for an odd seed within `limit_s` of the end of its first step."""
    steps = CONTEXT.Semaphore(0)
    process = CONTEXT.Process(target=work, args=(*arguments, steps))
    process.start()
    for _ in range(1 + seed % 2):
        assert steps.acquire(timeout=60)
    time.sleep(random.Random(seed).uniform(0, limit_s))
    process.kill()
    process.join()


def leftovers(folder: RunFolder) -> list[str]:
    hidden = (*folder.path.glob(".*"), *folder.bundles.glob(".*"))
    return [path.name for path in hidden]


def test_a_kill_of_an_activation_leaves_a_whole_bundle_and_both_to_go_to(run: Path, built: Bundle):
    folder = RunFolder(run)
    ids = [built.manifest.id, with_item(folder, "x1")]
    for seed in range(NUM_KILLS):
        kill_at_a_random_moment(back_and_forth, run, ids, seed=seed)
        assert Bundle.load(folder.bundle).manifest.id in ids
    for bundle_id in ids:
        assert activate(folder, bundle_id).bundle.manifest.id == bundle_id
    assert not leftovers(folder)  # the next replacement removed what the killed ones had left


def test_a_kill_of_a_refresh_leaves_a_whole_bundle_and_the_next_one_completes(run: Path, built: Bundle):
    folder, begin = RunFolder(run), time.monotonic()
    with_item(folder, "first")
    limit_s, num_before = 3 * (time.monotonic() - begin), len(built.item_ids) + 1  # a busy machine takes longer
    num_items = num_before
    for seed in range(NUM_KILLS):
        kill_at_a_random_moment(item_after_item, run, seed=seed, limit_s=limit_s)
        assert len(Bundle.load(folder.bundle).item_ids) >= num_items
        num_items = len(Bundle.load(folder.bundle).item_ids)
    assert num_items > num_before  # some kills came after a refresh
    with_item(folder, "last")
    assert Bundle.load(folder.bundle).item_ids[-1] == "last" and not leftovers(folder)
