"""The generated world: users share interests across scenarios if they are linked, and not if they are shuffled."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from redrec.datasets.world import SCENARIOS, START_MS, World, WorldConfig
from redrec.history import MS_PER_DAY

SMALL = WorldConfig(num_users=400, num_items=240, noise_share=0.0, events_per_user=(20.0, 10.0, 10.0))


def interest_shares(world: World, folder, scenario: str) -> np.ndarray:
    """Return each user's share of events per interest in one scenario."""
    events, _ = world.write(folder)
    rows = pq.read_table(events).to_pylist()
    counts_UK = np.full((world.config.num_users, world.config.num_interests), 1e-9)
    for row in rows:
        if row["scenario"] == scenario:
            counts_UK[int(row["user_id"][1:]), world.interest_N[int(row["item_id"][1:])]] += 1
    return counts_UK / counts_UK.sum(1, keepdims=True)


@pytest.mark.parametrize(("linked", "low", "high"), [(True, 0.7, 1.0), (False, 0.0, 0.25)])
def test_a_user_shows_the_same_interests_in_ads_only_when_linked(tmp_path, linked, low, high):
    """Cosine between a user's interests in two scenarios; two strangers share about 3 of 20 interests."""
    world = World(SMALL.model_copy(update={"linked": linked}))
    feed_UK, ads_UK = (interest_shares(world, tmp_path / s, s) for s in ("homefeed", "ads"))
    cosine_U = (feed_UK * ads_UK).sum(1) / np.linalg.norm(feed_UK, axis=1) / np.linalg.norm(ads_UK, axis=1)
    assert low < cosine_U.mean() < high


def test_a_title_has_words_of_interest_and_facet():
    world = World(SMALL)
    assert all(word in "baking sourdough crust oven dough flour".split() for word in world.titles()[0].split()[1:4])
    assert len(world.titles()) == 240


def test_days_and_facet_share_are_those_of_the_config(tmp_path):
    world = World(SMALL.model_copy(update={"days": 7, "facet_share": 1.0}))
    for row in pq.read_table(world.write(tmp_path)[0]).to_pylist():
        assert START_MS <= row["timestamp"].timestamp() * 1000 <= START_MS + 7 * MS_PER_DAY
        assert SCENARIOS[world.facet_N[int(row["item_id"][1:])]] == row["scenario"]


def test_the_true_probabilities_sum_to_one_in_each_scenario():
    world = World(SMALL)
    for scenario in range(len(SCENARIOS)):
        assert world.item_probabilities(world.after_UK[:5], scenario).sum(1) == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_world(tmp_path):
    first, second = (pq.read_table(World(SMALL).write(tmp_path / name)[0]) for name in ("a", "b"))
    other = pq.read_table(World(SMALL.model_copy(update={"seed": 1})).write(tmp_path / "c")[0])
    assert first.equals(second)
    assert not first.equals(other)
