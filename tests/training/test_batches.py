"""Batches: targets are after their cut and in the queried scenario; a step is the same whenever it is drawn."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from redrec.data.histories import VALIDATION, Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.prepare import DataConfig, prepare
from redrec.data.split import read_vocabulary
from redrec.datasets.world import SCENARIOS, World
from redrec.history import HistoryConfig, gap_bucket, tower_inputs
from redrec.model.visibility import Visibility
from redrec.training.batches import TARGET_WINDOW, Batch, BatchConfig, Batches, Shard
from tests.worlds import SMALL_RECIPE, SMALL_WORLD, write_world


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


def make(
    data: Path,
    config: BatchConfig = SMALL_RECIPE.batch,
    history: HistoryConfig = SMALL_RECIPE.history,
    max_full_catalog: int = 0,
    prior_SN: np.ndarray | None = None,
    new_share: float | None = None,
    excludes_seen: bool = False,
) -> Batches:
    histories, scenarios = Histories(data), read_vocabulary(data).scenarios
    counts_SN = train_counts(histories, SMALL_WORLD.num_items, len(scenarios))
    allowed_SN = is_allowed(data / "items.parquet", scenarios)
    prior_SN = np.zeros(counts_SN.shape, np.float32) if prior_SN is None else prior_SN
    excludes_seen_S = [excludes_seen] * len(scenarios)
    return Batches(
        histories, counts_SN, allowed_SN, prior_SN, excludes_seen_S, config, history, max_full_catalog, 0, new_share
    )


@pytest.fixture
def batches(data) -> Batches:
    return make(data)


def events_in_time_order(batch: Batch, user: int) -> np.ndarray:
    """Return the catalog items of a user's kept events, oldest first."""
    return batch.items_M[batch.event_BL[user][batch.events.is_event_BL[user]]]


def test_the_targets_are_the_next_events_of_the_queried_scenario(data):
    """With histories that nothing leaves, cut c of a user is before event c."""
    batches, num_checked = make(data, history=HistoryConfig(policy="sorted", max_events=1000)), 0
    for step in range(4):
        batch = batches.draw(step, Shard())
        for row, user in enumerate(batches._users_of(step)):
            history = batches.histories.train_of(user)
            queried = (batch.cut_BC[row], batch.scenario_BC[row], batch.gap_BC[row])
            targets = (batch.target_BCW[row], batch.is_target_BCW[row])
            for cut, scenario, gap, target_W, is_target_W in zip(*queried, *targets, strict=True):
                if not is_target_W[0]:
                    continue
                after = np.flatnonzero(history.scenario_L[cut:] == scenario)
                expected = history.item_L[cut:][after[: SMALL_RECIPE.batch.target_window]]
                assert batch.items_M[target_W[is_target_W]].tolist() == expected.tolist()
                assert gap == gap_bucket(history.timestamp_ms_L[cut] - history.timestamp_ms_L[cut - 1])
                num_checked += 1
    assert num_checked > 500


@pytest.mark.parametrize(("split", "window"), [("global_time", TARGET_WINDOW), ("leave_last_out_per_scenario", 1)])
def test_a_split_that_leaves_the_last_event_out_trains_on_the_next_event_alone(tmp_path, split, window: int):
    data = tmp_path / "data"
    prepare(*World(SMALL_WORLD).write(tmp_path / "tables"), data, DataConfig(split=split))
    assert make(data, BatchConfig()).draw(0, Shard()).target_BCW.shape[2] == window
    assert make(data, BatchConfig(target_window=3)).draw(0, Shard()).target_BCW.shape[2] == 3


NUM_UNIQUE = 150  # events of each user


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> Path:
    """Users whose event number n is of item n, most of one scenario: an item says where in its history it was."""
    folder, rng = tmp_path_factory.mktemp("numbered"), np.random.default_rng(0)
    item_ids = [f"i{n:03}" for n in range(NUM_UNIQUE)]
    rows = []
    for user in range(16):
        for n, scenario in enumerate(rng.choice(["feed", "search", "ads"], NUM_UNIQUE, p=[0.8, 0.15, 0.05])):
            minutes = 10 * n + int(rng.integers(10))
            rows.append((f"u{user}", item_ids[n], scenario, "click", 1_700_000_000_000 + minutes * 60_000))
    names = ("user_id", "item_id", "scenario", "action", "timestamp")
    pq.write_table(
        pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]), folder / "events.parquet"
    )
    pq.write_table(pa.table({"item_id": item_ids, "title": item_ids}), folder / "items.parquet")
    prepare(folder / "events.parquet", folder / "items.parquet", folder / "data", DataConfig())
    return folder / "data"


@pytest.mark.parametrize("policy", ["sorted", "concat", "quota_1d", "quota_2d"])
def test_each_cut_of_a_step_sees_what_serving_would_show_event_by_event(numbered, policy):
    """The visible events of every cut, with all their features, against those of a request at the same moment."""
    config = HistoryConfig(policy=policy, max_events=20, max_events_per_scenario=8)
    histories, vectors_NE = Histories(numbered), np.arange(NUM_UNIQUE)[:, None]
    counts_SN, batch_config = np.ones((3, NUM_UNIQUE), int), BatchConfig(num_users=16)
    prior_SN, shown_S = np.zeros(counts_SN.shape), [False] * 3
    batches = Batches(histories, counts_SN, counts_SN > 0, prior_SN, shown_S, batch_config, config, 0, seed=0)
    num_checked = 0
    for step in range(3):
        batch = batches.draw(step, Shard())
        visibility = Visibility(
            torch.from_numpy(batch.events.scenario_BL), torch.from_numpy(batch.events.is_event_BL), 3, config
        )
        is_visible_BCL = visibility.from_cuts(torch.from_numpy(batch.cut_BC)).is_visible_BTK[..., 1:].numpy()
        for row, cut in np.argwhere(batch.is_target_BCW[..., 0]):
            item_L = batch.items_M[batch.event_BL[row]]
            moment = item_L[batch.cut_BC[row, cut] - 1] + 1  # the number of the event after the cut
            history = histories.train_of(batches._users_of(step)[row])
            query = ([0], [history.timestamp_ms_L[moment]])
            served = tower_inputs([history.at(slice(moment))], *query, vectors_NE, config)
            is_visible_L = is_visible_BCL[row, cut]
            assert item_L[is_visible_L].tolist() == served.vectors_BLE[0, :, 0].tolist()
            for in_training_BL, in_serving_BL in zip(batch.events, served.events, strict=True):
                assert in_training_BL[row][is_visible_L].tolist() == in_serving_BL[0].tolist()
            assert batch.gap_BC[row, cut] == served.query_gap_B[0]
            num_checked += 1
    assert num_checked == 3 * 16 * batch_config.num_cuts


def test_no_item_of_the_test_period_alone_is_a_target(data, batches):
    """Every event and target of a step is in its user's training split."""
    batch = batches.draw(3, Shard())
    for row, user in enumerate(batches._users_of(3)):
        train_items = set(batches.histories.train_of(user).item_L.tolist())
        targets = batch.items_M[batch.target_BCW[row][batch.is_target_BCW[row]]]
        assert set(targets.tolist()) <= train_items
        assert set(events_in_time_order(batch, row).tolist()) <= train_items


@pytest.mark.parametrize("new_share", [1.0, 0.25])
def test_a_refresh_cuts_a_share_of_the_rows_before_validation_events_alone_and_none_before_the_test(
    tmp_path, new_share
):
    tables = World(SMALL_WORLD).write(tmp_path / "tables")
    prepare(*tables, tmp_path / "data", DataConfig(scenarios=SCENARIOS, test_share=0.3))
    batches, is_new = make(tmp_path / "data", new_share=new_share), []
    histories = batches.histories
    for step in range(6):
        batch = batches.draw(step, Shard())
        for row, user in enumerate(batches._users_of(step)):
            num_train = len(histories.train_of(user).item_L)
            item_L = histories.train_of(user, VALIDATION).item_L
            drawn = set(batch.items_M[batch.target_BCW[row][batch.is_target_BCW[row]]].tolist())
            assert drawn <= set(item_L.tolist())
            is_new.append(drawn <= set(item_L[num_train:].tolist()))
    num_new = 6 * round(new_share * batches.config.num_users)
    assert sum(is_new) == num_new if new_share == 1 else num_new <= sum(is_new) < 2 * num_new


def test_the_prior_of_targets_and_negatives_is_that_of_their_item_and_scenario(data):
    prior_SN = np.arange(3 * SMALL_WORLD.num_items, dtype=np.float32).reshape(3, -1)
    batch, without = make(data, prior_SN=prior_SN).draw(0, Shard()), make(data).draw(0, Shard())
    expected_BCW = prior_SN[batch.scenario_BC[..., None], batch.items_M[batch.target_BCW]]
    np.testing.assert_array_equal(batch.prior_BCW, expected_BCW * batch.is_target_BCW)
    for prior_N, with_prior, negatives in zip(prior_SN, batch.negatives, without.negatives, strict=True):
        drawn = batch.items_M[with_prior.own_N]
        np.testing.assert_allclose(with_prior.offset_N, negatives.offset_N - prior_N[drawn], rtol=1e-5)


def arrays_of(values: tuple) -> list:
    """Return the arrays of nested tuples one after another."""
    arrays = []
    for value in values:
        arrays += arrays_of(value) if isinstance(value, tuple) else [value]
    return arrays


def test_a_step_is_the_same_in_whatever_order_steps_are_drawn(batches):
    first, _, again = (batches.draw(step, Shard()) for step in (5, 9, 5))
    one, other = arrays_of(first), arrays_of(again)
    assert len(one) == 9 + 4 + 3 + 3 * 5  # arrays, event features, groups, negatives
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_epoch_takes_every_trainable_user_once(batches):
    num_users = SMALL_RECIPE.batch.num_users
    seen = np.concatenate([batches._users_of(step) for step in range(len(batches.users) // num_users + 1)])
    assert set(seen[: len(batches.users)]) == set(batches.users)
    assert len(set(seen[: len(batches.users)])) == len(batches.users)


def test_negatives_are_items_that_may_be_shown_in_the_scenario(data):
    allowed_N = np.zeros(SMALL_WORLD.num_items, dtype=bool)
    allowed_N[::3] = True
    histories = Histories(data)
    counts_SN = train_counts(histories, SMALL_WORLD.num_items, 3)
    allowed_SN = np.stack([allowed_N, ~allowed_N, np.ones_like(allowed_N)])
    config, history, prior_SN = SMALL_RECIPE.batch, SMALL_RECIPE.history, np.zeros(counts_SN.shape)
    batches = Batches(histories, counts_SN, allowed_SN, prior_SN, [False] * 3, config, history, 0, 0)
    batch = batches.draw(0, Shard())
    for scenario, negatives in enumerate(batch.negatives):
        assert allowed_SN[scenario][batch.items_M[negatives.own_N]].all()


def test_a_small_catalog_is_taken_whole(data):
    """At the limit it is all candidates with count one; one item above the limit it is a draw."""
    whole = make(data, max_full_catalog=SMALL_WORLD.num_items).draw(0, Shard()).negatives[0]
    assert whole.is_full
    assert len(whole.own_N) == SMALL_WORLD.num_items
    assert not whole.offset_N.any()
    assert not make(data, max_full_catalog=SMALL_WORLD.num_items - 1).draw(0, Shard()).negatives[0].is_full


@pytest.mark.parametrize(("queried", "least", "most"), [("balanced", 0.2, 1 / 3), ("next", 0.1, 0.2)])
def test_a_sparse_scenario_can_be_queried_more_often_than_its_share_of_events(data, queried, least: float, most: float):
    batches = make(data, SMALL_RECIPE.batch.model_copy(update={"queried": queried}))
    drawn = [batches.draw(step, Shard()) for step in range(5)]
    scenario_A = np.concatenate([batch.scenario_BC[batch.is_target_BCW[..., 0]] for batch in drawn])
    shares = np.bincount(scenario_A, minlength=3) / len(scenario_A)
    assert least < shares.min() < most


def test_next_item_models_are_cut_before_every_event_of_a_stretch_and_queried_for_it(data):
    config = BatchConfig(num_users=16, num_cuts=None, queried="next", target_window=1)
    batch = make(data, config, HistoryConfig(policy="sorted", max_events=20)).draw(0, Shard())
    for row in range(16):
        events, is_cut = events_in_time_order(batch, row), batch.is_target_BCW[row, :, 0]
        targets = batch.items_M[batch.target_BCW[row, is_cut, 0]]
        cuts = batch.cut_BC[row, is_cut]
        assert np.array_equal(cuts, np.arange(cuts[0], cuts[0] + len(cuts)))
        assert cuts[0] == 1 or len(cuts) >= 19  # the last position of a history has no target
        assert np.array_equal(targets[:-1], events[cuts[:-1]])  # the last target is behind the events that enter


def test_a_cut_is_taken_less_often_the_older_its_target(data):
    """Of the positions that one day's targets give, a half-life keeps the expected share, and each user keeps a cut."""
    half_life_days = 5.0
    config = BatchConfig(num_users=64, num_cuts=None, queried="next", target_window=1)
    whole = HistoryConfig(policy="sorted", max_events=1000)
    every = make(data, config, whole)
    recent = make(data, config.model_copy(update={"half_life_days": half_life_days}), whole)
    kept, expected, spread = 0, 0.0, 0.0
    for step in range(6):
        taken = recent.draw(step, Shard()).is_target_BCW[..., 0].sum(1)
        assert taken.min() >= 1
        kept += taken.sum()
        for user in every._users_of(step):
            history = every.histories.train_of(user)
            chance = 0.5 ** ((every.newest_ms - history.timestamp_ms_L[1:]) / 86_400_000 / half_life_days)
            expected += chance.sum() + np.prod(1 - chance)  # where none is kept, one is
            spread += (chance * (1 - chance)).sum()
    assert abs(kept - expected) < 4 * spread**0.5
    assert kept < 0.8 * sum(every.draw(step, Shard()).is_target_BCW[..., 0].sum() for step in range(6))


def test_the_cuts_of_a_user_are_different_positions(data):
    batch = make(data, history=HistoryConfig(policy="sorted")).draw(1, Shard())
    for cut_C, is_target_CW in zip(batch.cut_BC, batch.is_target_BCW, strict=True):
        cuts = cut_C[is_target_CW[:, 0]]
        assert len(set(cuts.tolist())) == len(cuts)
