"""Batches: targets lie after their cut and in the asked scenario; a step is the same whenever it is drawn."""

from pathlib import Path

import numpy as np
import pytest

from redrec.data.histories import Histories
from redrec.training.batches import Batch, Batches, train_counts
from tests.worlds import SMALL_RECIPE, SMALL_WORLD, write_world


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def batches(data) -> Batches:
    histories = Histories(data / "histories")
    counts_SN = train_counts(histories, SMALL_WORLD.num_items, 3)
    return Batches(histories, counts_SN, SMALL_RECIPE.batch, SMALL_RECIPE.history, seed=0)


def events_in_time_order(batch: Batch, user: int) -> np.ndarray:
    """Return the catalog items of a user's kept events, oldest first."""
    kept = batch.events["is_event_BL"][user]
    order = np.argsort(batch.events["order_BL"][user][kept])
    return batch.items_M[batch.event_BL[user][kept]][order]


def test_the_targets_are_the_next_events_of_the_asked_scenario(data, batches):
    """Whole short histories: then kept events are all events, and cut c stands before event c."""
    histories, batch, num_checked = batches.histories, batches[0], 0
    for row, user in enumerate(batches._users_of(0)):
        history = histories.train_of(user)
        kept = events_in_time_order(batch, row)
        if len(kept) != len(history.item_L):
            continue
        for cut, scenario, target_W, is_target_W in zip(
            batch.cut_BC[row], batch.scenario_BC[row], batch.target_BCW[row], batch.is_target_BCW[row], strict=True
        ):
            after = np.flatnonzero((history.scenario_L == scenario) & (np.arange(len(kept)) >= cut))
            expected = history.item_L[after[: SMALL_RECIPE.batch.target_window]]
            assert batch.items_M[target_W[is_target_W]].tolist() == expected.tolist()
            num_checked += 1
    assert num_checked > 50


def test_no_item_of_the_test_period_alone_is_a_target(data, batches):
    """Every event and target of a step is in its user's training part."""
    batch = batches[3]
    for row, user in enumerate(batches._users_of(3)):
        train_items = set(batches.histories.train_of(user).item_L.tolist())
        targets = batch.items_M[batch.target_BCW[row][batch.is_target_BCW[row]]]
        assert set(targets.tolist()) <= train_items
        assert set(events_in_time_order(batch, row).tolist()) <= train_items


def test_a_step_is_the_same_in_whatever_order_steps_are_drawn(batches):
    first, _, again = batches[5], batches[9], batches[5]
    for one, other in zip(first, again, strict=True):
        if isinstance(one, dict):
            assert all(np.array_equal(one[name], other[name]) for name in one)
        else:
            assert np.array_equal(one, other)


def test_an_epoch_takes_every_trainable_user_once(batches):
    num_users = SMALL_RECIPE.batch.num_users
    seen = np.concatenate([batches._users_of(step) for step in range(len(batches.users) // num_users + 1)])
    assert set(seen[: len(batches.users)]) == set(batches.users)
    assert len(set(seen[: len(batches.users)])) == len(batches.users)


def test_the_draw_of_negatives_has_the_counts_it_claims(batches):
    """Mean count of each item over many draws against exp(log_count), within five standard errors."""
    num_draws = 400
    draws = [batches._negatives(np.random.default_rng(n)) for n in range(num_draws)]
    seen_N = np.bincount(np.concatenate(draws), minlength=SMALL_WORLD.num_items) / num_draws
    expected_N = np.exp(batches.log_count_N)
    assert (np.abs(seen_N - expected_N) < 5 * np.sqrt(expected_N / num_draws) + 1e-6).all()


def test_a_sparse_scenario_is_asked_as_often_as_its_share_of_scenarios(batches):
    asked = np.concatenate([batches[step].scenario_BC.ravel() for step in range(5)])
    shares = np.bincount(asked, minlength=3) / len(asked)
    assert shares.min() > 0.2
