"""Online: training and serving build the same model input for the same user, from files and from both stores."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.event_table import events_of
from feature_repo.materialize import materialize
from feature_repo.online import OnlineHistories
from feature_repo.push import Pusher
from redrec.data.histories import TEST, Histories
from redrec.data.prepare import DataConfig, prepare
from redrec.data.split import read_vocabulary
from redrec.history import HistoryConfig, encode_history, tower_inputs

NOW_MS = 2 * 10**12  # after all events

SCENARIOS = ("homefeed", "search", "ads")
POLICIES = ("sorted", "concat", "quota_1d", "quota_2d")
START_US = 1_767_225_600_000_000


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """40 users with events that tie: in milliseconds but not microseconds, across scenarios, in item and in action."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    number = 4000
    events = pa.table(
        {
            "user_id": [f"u{user}" for user in rng.integers(0, 40, number)],
            "item_id": [f"i{item}" for item in rng.integers(0, 9, number)],
            "scenario": rng.choice(SCENARIOS, number, p=[0.6, 0.3, 0.1]),
            "action": rng.choice(["click", "like"], number),
            "timestamp": pa.array(START_US + 500 * rng.integers(0, 60, number), pa.timestamp("us", "UTC")),
        }
    )
    pq.write_table(events, folder / "events.parquet")
    pq.write_table(
        pa.table({"item_id": [f"i{n}" for n in range(9)], "title": [f"item {n}" for n in range(9)]}),
        folder / "items.parquet",
    )
    return folder


@pytest.fixture(scope="module")
def data(tables):
    prepare(
        tables / "events.parquet",
        tables / "items.parquet",
        tables / "data",
        DataConfig(scenarios=SCENARIOS, max_quarantined_share=1),
    )
    return tables / "data"


def of_training(data, config):
    """Return the inputs after each user's last event, `tower_inputs` of all users."""
    histories = Histories(data)
    known = [histories.known(user, int(histories.end_U[user]), TEST + 1) for user in range(len(histories))]
    return inputs(known, config)


def of_serving(data, folder, config):
    vocabulary, item_ids = read_vocabulary(data), pq.read_table(data / "items.parquet")["item_id"].to_pylist()
    item_index = {item_id: n for n, item_id in enumerate(item_ids)}
    read = OnlineHistories(folder).read_many(Histories(data).user_ids)
    return inputs([encode_history(**history, item_index=item_index, vocabulary=vocabulary) for history in read], config)


def inputs(histories, config):
    vectors_NE = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float32)
    return tower_inputs(histories, [0] * len(histories), [NOW_MS] * len(histories), vectors_NE, config)


def assert_equal(one, other):
    for name, array in one._asdict().items():
        np.testing.assert_array_equal(array, getattr(other, name), err_msg=name)


@pytest.fixture
def folder(data, online_store, tmp_path):
    materialize(data, tmp_path / "features", max_events=200)
    return tmp_path / "features"


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_arrays_come_from_files_and_from_the_online_store(data, folder, policy):
    config = HistoryConfig(policy=policy, max_events=40, max_events_per_scenario=12)
    assert_equal(of_training(data, config), of_serving(data, folder, config))


def test_the_same_arrays_come_from_the_online_store_if_half_of_the_events_were_pushed(data, online_store, tmp_path):
    """In random order, in small batches, over a log that ends in the middle of the events."""
    events = pq.read_table(data / "events.parquet")
    half = np.sort(events["timestamp"].to_numpy())[len(events) // 2]
    is_early = events["timestamp"].to_numpy() < half
    (tmp_path / "early").mkdir()
    pq.write_table(events.filter(pa.array(is_early)), tmp_path / "early" / "events.parquet")
    shutil.copyfile(data / "split.json", tmp_path / "early" / "split.json")
    materialize(tmp_path / "early", tmp_path / "features", max_events=200)

    late = events.filter(pa.array(~is_early)).take(np.random.default_rng(2).permutation((~is_early).sum()))
    pusher = Pusher(tmp_path / "features", {f"i{n}" for n in range(9)})
    for start in range(0, len(late), 500):
        pq.write_table(late.slice(start, 500), tmp_path / "new.parquet")
        for block in events_of(tmp_path / "new.parquet"):
            assert pusher.push(block).added == len(block)
    config = HistoryConfig(policy="sorted", max_events=40)
    assert_equal(of_training(data, config), of_serving(data, tmp_path / "features", config))
