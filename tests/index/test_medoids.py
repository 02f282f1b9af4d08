import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from redrec.history import MS_PER_DAY, History, Ints
from redrec.index.medoids import NUM_MEDOIDS, NUM_NEWEST, medoids, ward_clusters

NUM_TASTES, ITEMS_PER_TASTE, DIM = 8, 20, 16
HERE, ELSEWHERE = 0, 1
TASTE_N = np.repeat(np.arange(NUM_TASTES), ITEMS_PER_TASTE)


def planted_items(seed: int = 0) -> NDArray[np.float32]:
    """Return the unit-norm embeddings of the items of eight tastes; cosines within one are about 0.9."""
    rng = np.random.default_rng(seed)
    centers_TD = np.eye(NUM_TASTES, DIM)
    embeddings_ND = centers_TD[TASTE_N] + rng.normal(size=(len(TASTE_N), DIM)) * 0.3 / DIM**0.5
    return (embeddings_ND / np.linalg.norm(embeddings_ND, axis=1, keepdims=True)).astype(np.float32)


def history_of(item_L: Ints, age_days_L: NDArray | None = None) -> History:
    """Return events at moment 0, oldest first, a day apart unless ages are given."""
    ages_L = np.arange(len(item_L))[::-1] if age_days_L is None else age_days_L
    zeros_L = np.zeros(len(item_L), np.int64)
    return History(np.asarray(item_L), zeros_L, zeros_L, (-ages_L * MS_PER_DAY).astype(np.int64))


def of_tastes(*tastes: int, num_events: int = 20, seed: int = 0) -> Ints:
    """Return events that alternate between tastes."""
    rng = np.random.default_rng(seed)
    return np.resize(tastes, num_events) * ITEMS_PER_TASTE + rng.integers(ITEMS_PER_TASTE, size=num_events)


def share_of_planted_pairs(embeddings_ND: NDArray[np.float32]) -> float:
    """Return the share of 200 users with two tastes who get exactly two medoids, one in each."""
    rng = np.random.default_rng(1)
    is_planted = []
    for user in range(200):
        tastes = rng.choice(NUM_TASTES, 2, replace=False)
        items = medoids(history_of(of_tastes(*tastes, seed=user)), HERE, embeddings_ND, 0)
        is_planted.append(sorted(TASTE_N[items]) == sorted(tastes))
    return float(np.mean(is_planted))


def test_two_planted_tastes_give_two_medoids_one_in_each():
    assert share_of_planted_pairs(planted_items()) == 1.0


def test_nothing_is_found_where_items_are_not_where_their_taste_is():
    """Negative control: each item has the embedding of another, so the events of a user are of many tastes."""
    shuffled_ND = np.random.default_rng(2).permutation(planted_items())
    assert share_of_planted_pairs(shuffled_ND) < 0.02


def test_clusters_are_those_of_scipy():
    """SciPy's height is the square root of twice the cost."""
    for seed in range(20):
        points_LD = np.random.default_rng(seed).normal(size=(30, 4))
        of_scipy_L = fcluster(linkage(points_LD, "ward"), (2 * 3.0) ** 0.5, criterion="distance")
        cluster_L = ward_clusters(points_LD, max_cost=3.0)
        assert 1 < len(np.unique(cluster_L)) < 30
        assert ((cluster_L[:, None] == cluster_L) == (of_scipy_L[:, None] == of_scipy_L)).all()


def test_the_medoid_is_the_item_in_the_middle_of_its_cluster():
    """The second item lies between the two others; a second way of computing: the least sum of squared distances."""
    angles = np.array([0.0, 0.2, 0.3])
    embeddings_ND = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    sums = [((embeddings_ND - one_D) ** 2).sum() for one_D in embeddings_ND]
    assert medoids(history_of(np.array([2, 0, 1])), HERE, embeddings_ND, 0).tolist() == [1] == [np.argmin(sums)]


def test_the_cluster_with_more_events_is_more_important():
    item_L = np.concatenate([of_tastes(3, num_events=6), of_tastes(5, num_events=9)])
    items = medoids(history_of(item_L, np.zeros(15)), HERE, planted_items(), 0)
    assert TASTE_N[items].tolist() == [5, 3]


def test_newer_events_count_more_than_older_ones():
    """At 0.01 per day, 9 events of 200 days ago count 9 * exp(-2) = 1.2 of today's."""
    item_L = np.concatenate([of_tastes(5, num_events=9), of_tastes(3, num_events=2)])
    items = medoids(history_of(item_L, np.repeat([200, 0], [9, 2])), HERE, planted_items(), 0)
    assert TASTE_N[items].tolist() == [3, 5]


def test_of_many_tastes_the_most_important_ones_are_queried():
    events = [of_tastes(taste, num_events=2 + taste) for taste in range(6)]
    items = medoids(history_of(np.concatenate(events)), HERE, planted_items(), 0)
    assert TASTE_N[items].tolist() == [5, 4, 3] and len(items) == NUM_MEDOIDS


def test_only_the_newest_events_are_read():
    item_L = np.concatenate([of_tastes(1, num_events=100), of_tastes(2, num_events=NUM_NEWEST)])
    assert set(TASTE_N[medoids(history_of(item_L), HERE, planted_items(), 0)]) == {2}


@pytest.mark.parametrize(("num_here", "expected"), [(2, {5}), (0, {3})])
def test_events_of_other_scenarios_are_read_only_if_the_queried_one_has_none(num_here: int, expected: set[int]):
    history = history_of(np.concatenate([of_tastes(3, num_events=9), of_tastes(5, num_events=num_here)]))
    history = history._replace(scenario_L=np.repeat([ELSEWHERE, HERE], [9, num_here]))
    assert set(TASTE_N[medoids(history, HERE, planted_items(), 0)]) == expected


@pytest.mark.parametrize(("item_L", "expected"), [([], []), ([7], [7]), ([7, 7, 7], [7])])
def test_few_events_are_no_special_case(item_L: list[int], expected: list[int]):
    assert medoids(history_of(np.array(item_L, np.int64)), HERE, planted_items(), 0).tolist() == expected
