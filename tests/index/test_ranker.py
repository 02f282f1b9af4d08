"""Ranker: it reads what is known of each item, and orders by its network."""

from dataclasses import replace

import numpy as np
import pytest

from redrec.data.histories import NEVER
from redrec.history import MS_PER_DAY, History
from redrec.index.merge import Merged
from redrec.index.ranker import FEATURES, NUM_NEWEST, Networks, RankedQuery, Ranker
from tests.bundles import random_ranker

DAY, NOW_MS = MS_PER_DAY, 1_700_000_000_000
EMBEDDINGS = np.eye(4, dtype=np.float16)
INTERESTS = np.array([[1, 0, 0, 0], [0.6, 0.8, 0, 0]], dtype=np.float32)
FIRST_MS = np.array([NOW_MS - 7 * DAY, NOW_MS - DAY, NOW_MS, NEVER])
ITEM_L, SCENARIO_L = [3, 0, 0], [1, 0, 1]
HISTORY = History(*map(np.array, (ITEM_L, [0, 0, 0], SCENARIO_L, [NOW_MS - days * DAY for days in (9, 8, 3)])))
QUERY = RankedQuery(INTERESTS, HISTORY, scenario=1, moment_ms=NOW_MS)
BEST = Merged(np.array([1, 0, 3]), np.array([0.9, 0.8, 0.1], np.float32), np.array([1, 0, 0]))
POPULAR_C = np.array([0.1, 0.0, 0.3])


def ranker_of(networks: Networks) -> Ranker:
    return Ranker(num_contenders=3, logit_scale=10.0, first_ms_N=FIRST_MS, networks=networks)


def feature(name: str, query: RankedQuery = QUERY) -> list[float]:
    features_CF = ranker_of(Networks.by_score(2, 4)).features(BEST, query, POPULAR_C, EMBEDDINGS)
    assert features_CF.shape == (3, len(FEATURES))
    return features_CF[:, FEATURES.index(name)].round(4).tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("score", [0.0, -1.0, -8.0]),
        ("cosine", [8.0, 10.0, 0.0]),
        ("mean_cosine", [4.0, 8.0, 0.0]),
        ("popularity", [1.0, 0.0, 3.0]),
        ("own_here_inf", np.log1p([0, 1, 1])),
        ("own_all_inf", np.log1p([0, 2, 1])),
        ("own_here_7.0", np.log1p([0, 0.5 ** (3 / 7), 0.5 ** (9 / 7)])),
        ("age", [np.log(2), np.log(8), -1.0]),
        ("nearest_event", [0.0, 1.0, 0.0]),
        ("most_like_event", [0.0, 1.0, 1.0]),
        ("mean_like_events", [0.0, 2 / 3, 1 / 3]),
        ("num_events", [np.log(4)] * 3),
        ("idle", [np.log(4)] * 3),
    ],
)
def test_a_feature_is_what_is_known_at_the_moment(name: str, expected: list[float]):
    assert feature(name) == pytest.approx(expected, abs=1e-3)


def test_a_user_without_events_has_features_too():
    nobody = RankedQuery(INTERESTS, HISTORY.at(slice(0)), scenario=1, moment_ms=NOW_MS)
    assert feature("most_like_event", nobody) == feature("num_events", nobody) == [0.0, 0.0, 0.0]


def test_only_the_newest_events_are_compared():
    """The one of item 0 is followed by `NUM_NEWEST` of item 3."""
    fields = ([0] + [3] * NUM_NEWEST, [0] * (NUM_NEWEST + 1), [0] * (NUM_NEWEST + 1), [NOW_MS] * (NUM_NEWEST + 1))
    query = RankedQuery(INTERESTS, History(*map(np.array, fields)), scenario=1, moment_ms=NOW_MS)
    assert feature("most_like_event", query) == [0.0, 0.0, 1.0]


def test_a_network_that_is_not_fitted_keeps_the_order_and_a_fitted_one_its_own():
    unfitted = ranker_of(Networks.by_score(2, 4)).ranked(BEST, QUERY, POPULAR_C, EMBEDDINGS)
    assert unfitted.items_K.tolist() == BEST.items_K.tolist()
    by_age = Networks.by_score(2, 4)
    by_age.linear_SF[1] = np.eye(len(FEATURES))[FEATURES.index("age")]
    ranked = ranker_of(by_age).ranked(BEST, QUERY, POPULAR_C, EMBEDDINGS)
    assert (ranked.items_K.tolist(), ranked.interests_K.tolist()) == ([0, 1, 3], [0, 1, 0])
    assert ranked.scores_K == pytest.approx(np.array([np.log(8), np.log(2), -1]) / 10, abs=1e-3)
    other = ranker_of(by_age).ranked(BEST, replace(QUERY, scenario=0), POPULAR_C, EMBEDDINGS)
    assert other.items_K.tolist() == BEST.items_K.tolist()


def test_a_hidden_layer_bends_what_a_line_cannot():
    """Highest in the middle: minus the distance of the cosine from 8, by two hidden units."""
    networks, cosine = Networks.by_score(2, 2), FEATURES.index("cosine")
    networks.linear_SF[:] = 0
    networks.mean_SF[1, cosine] = 8
    networks.hidden_SFH[1, cosine], networks.out_SH[1] = [1, -1], [-1, -1]
    ranked = ranker_of(networks).ranked(BEST, QUERY, POPULAR_C, EMBEDDINGS)
    assert ranked.items_K.tolist() == [1, 0, 3]
    assert ranked.scores_K == pytest.approx([0.0, -0.2, -0.5])  # what is far counts as five deviations


def test_nothing_is_ranked_where_nothing_was_found():
    nothing = Merged(*(values_K[:0] for values_K in BEST))
    assert ranker_of(Networks.by_score(2, 4)).ranked(nothing, QUERY, POPULAR_C[:0], EMBEDDINGS) == nothing


def test_a_saved_ranker_is_the_same(tmp_path):
    saved = random_ranker(num_items=4, num_scenarios=2, num_contenders=3)
    saved.save(tmp_path / "ranker.npz")
    loaded = Ranker.load(tmp_path / "ranker.npz", logit_scale=1.0)
    assert (loaded.num_contenders, loaded.logit_scale) == (3, 1.0)
    assert loaded.first_ms_N.tolist() == saved.first_ms_N.tolist()
    for values, expected in zip(loaded.networks, saved.networks, strict=True):
        np.testing.assert_array_equal(values, expected)
