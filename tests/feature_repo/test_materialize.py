import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from feature_repo.materialize import MAX_EVENTS, materialize
from feature_repo.online import OnlineHistories
from redrec.config import InputError
from tests.data.logs import event as log_event
from tests.data.logs import prepared

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1  # from Linux' prctl.h and capability.h


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "features"
    return folder, materialize(data, folder)


@pytest.fixture(scope="module")
def features(made):
    return made[0]


@pytest.fixture(scope="module")
def online(features):
    return OnlineHistories(features)


def events_of(data: Path, user_id: str) -> list[tuple]:
    """The user's newest events per scenario, directly from the event table."""
    rows = [row for row in pq.read_table(data / "events.parquet").to_pylist() if row["user_id"] == user_id]
    events = [(r["scenario"], round(r["timestamp"].timestamp() * 1000), r["item_id"], r["action"]) for r in rows]
    kept = []
    for name in {event[0] for event in events}:
        kept += sorted(event for event in events if event[0] == name)[-MAX_EVENTS:]
    return kept


def test_online_histories_equal_the_event_table_to_the_millisecond(data, online):
    for user_id in (f"u{number}" for number in range(60)):
        read = online.read(user_id)
        events = list(zip(read["scenarios"], read["timestamps_ms"], read["item_ids"], read["actions"], strict=True))
        assert sorted(events) == sorted(events_of(data, user_id))


def test_each_scenario_is_oldest_first(online):
    read = online.read("u3")
    for name in set(read["scenarios"]):
        times = [t for t, scenario in zip(read["timestamps_ms"], read["scenarios"], strict=True) if scenario == name]
        assert times == sorted(times)


def test_an_unknown_user_is_none(online):
    assert online.read("nobody-knows") is None


def test_a_user_without_events_in_one_scenario_has_the_others(data, online):
    rows = pq.read_table(data / "events.parquet", columns=["user_id", "scenario"]).to_pylist()
    in_ads = {row["user_id"] for row in rows if row["scenario"] == "ads"}
    outside = sorted({row["user_id"] for row in rows} - in_ads)
    assert outside and set(online.read(outside[0])["scenarios"]) == {"homefeed", "search"}


def test_many_threads_may_read_at_once(data, online):
    user_ids = [f"u{number % 60}" for number in range(240)]
    with ThreadPoolExecutor(8) as pool:
        histories = list(pool.map(online.read, user_ids))
    assert histories == [online.read(user_id) for user_id in user_ids]


def test_the_report_counts_users_and_names_the_newest_event(data, made):
    report = made[1]
    assert report["users"] == 60
    assert report["newest_event"].startswith("2026-01-01T00:33:20.999")  # 1 999 events of 1 001 ms after midnight


def test_the_hash_of_a_folder_is_that_of_its_definitions(made, online):
    from feature_repo.definitions import feature_hash

    assert online.feature_hash == made[1]["feature_hash"] == feature_hash(["homefeed", "search", "ads"])
    assert feature_hash(["homefeed", "search"]) != online.feature_hash


def test_the_folder_holds_no_absolute_path(features):
    for name in ("feature_store.yaml", "registry.db"):
        assert str(features.parent).encode() not in (features / name).read_bytes()


# Gives up root's right to write into what is read-only, and becomes Python; without root this changes nothing. A process
# of its own, not `preexec_fn`: gRPC's threads, which other tests leave, may abort in a fork that closes its files.
OBEYING_PERMISSIONS = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_CAPBSET_DROP}, {CAP_DAC_OVERRIDE}, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
READ_ELSEWHERE = """
import json, os, sys
from pathlib import Path
from feature_repo.online import OnlineHistories
folder = Path(sys.argv[1])
assert not os.access(folder, os.W_OK) and not os.access(folder / "online.db", os.W_OK)
print(json.dumps(OnlineHistories(folder).read("u3")))
assert not (seen := [name for name in os.environ if "PROMETHEUS" in name]), seen
"""


def test_a_read_only_copy_is_read_from_another_working_directory(features, online, tmp_path):
    """As a pod does; in a process of its own, where every warning is an error too."""
    copy = Path(shutil.copytree(features, tmp_path / "mounted"))
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = subprocess.run(
        [sys.executable, "-c", OBEYING_PERMISSIONS, "-W", "error", "-c", READ_ELSEWHERE, str(copy)],
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout) == online.read("u3")


def test_nothing_is_printed_and_the_working_directory_is_kept(data, tmp_path, capsys):
    before = Path.cwd()
    materialize(data, tmp_path / "features")
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
    assert Path.cwd() == before


def test_scenarios_of_any_name_are_stored_apart(tmp_path):
    """Feast ignores case, and these names have no letter in common, or the same ones."""
    names = ["首页", "搜索", "ads", "Ads", "a/b", "a_b", "Home & Kitchen", "🙂"]
    rows = [log_event(user_id="jürgen1", scenario=name, item_id=f"i{n % 4}") for n, name in enumerate(names)]
    prepared(tmp_path, rows)
    materialize(tmp_path / "data", tmp_path / "features")
    read = OnlineHistories(tmp_path / "features").read("jürgen1")
    assert dict(zip(read["scenarios"], read["item_ids"], strict=True)) == {
        name: f"i{n % 4}" for n, name in enumerate(names)
    }


def test_a_second_run_replaces_the_folder(data, tmp_path):
    materialize(data, tmp_path / "features", max_events=64)
    materialize(data, tmp_path / "features", max_events=2)
    assert len(OnlineHistories(tmp_path / "features").read("u3")["item_ids"]) <= 2 * 3
    assert [path.name for path in tmp_path.iterdir()] == ["features"]


def test_a_failure_leaves_nothing_and_keeps_the_folder_before_it(data, tmp_path):
    """The error comes after the definitions were written."""
    bad = Path(shutil.copytree(data, tmp_path / "bad"))
    (bad / "events.parquet").unlink()
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "kept").touch()
    with pytest.raises(InputError, match="does not exist"):
        materialize(bad, tmp_path / "features")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "features"]
    assert (tmp_path / "features" / "kept").exists()


def test_a_folder_that_is_no_feature_store_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no feature_store.yaml.*make one"):
        OnlineHistories(tmp_path)
