"""Recall of an index against exact search, with its negative control."""

import numpy as np
import pytest

from redrec.config import InputError
from redrec.index.config import EmbeddedConfig
from redrec.index.embedded import EmbeddedIndex
from redrec.index.recall import check_recall, measure_recall
from tests.index.planted import (
    CATALOG,
    CATEGORIES,
    EMBEDDINGS,
    NOON_MS,
    NUM_ITEMS,
    SCENARIOS,
    WINDOWED_CATALOG,
    is_available,
    random_unit,
)


def index_of(embeddings_ND: np.ndarray) -> EmbeddedIndex:
    return EmbeddedIndex(embeddings_ND, CATALOG, EmbeddedConfig())


def test_recall_sees_an_index_of_other_vectors():
    """The negative control: chance is 10 of 60, and 100 are all 60."""
    (ads, *_) = measure_recall(index_of(random_unit(NUM_ITEMS, seed=5)), CATALOG, EMBEDDINGS, ["ads"], NOON_MS)
    assert (ads.name, ads.num_items, ads.recall_at_100) == ("ads", NUM_ITEMS, 1.0)
    assert ads.recall_at_10 < 0.35
    with pytest.raises(InputError, match=r"\{'ads': 0\.\d+.*allowed is 0\.95 or more\. Choose FLAT"):
        check_recall([ads], 0.95)
    check_recall([ads], 0.1)


def test_items_of_equal_content_do_not_cost_recall():
    twins_ND = np.repeat(EMBEDDINGS[:3], 20, axis=0)
    (ads, *_) = measure_recall(index_of(twins_ND), CATALOG, twins_ND, ["ads"], NOON_MS)
    assert (ads.recall_at_10, ads.recall_at_100) == (1.0, 1.0)


def test_each_scenario_is_measured_and_some_of_its_categories():
    """A scenario that shows nothing has none."""
    recalls = measure_recall(index_of(EMBEDDINGS), CATALOG, EMBEDDINGS, SCENARIOS, NOON_MS)
    assert {recall.scenario for recall in recalls} == set(SCENARIOS)
    assert all(recall.recall_at_10 == recall.recall_at_100 == 1 for recall in recalls)
    categories = [recall.category for recall in recalls if recall.scenario == "homefeed"]
    assert categories[0] is None and len(set(categories)) == 5 and set(categories[1:]) <= set(CATEGORIES)
    assert [(recall.category, recall.num_items) for recall in recalls if recall.scenario == SCENARIOS[2]] == [(None, 0)]


def test_an_index_that_fails_with_a_category_alone_is_seen():
    class WithoutCategories(EmbeddedIndex):
        def search(self, queries_QD, k, item_filter, **_):
            scores_QK, items_QK = super().search(queries_QD, k, item_filter)
            return scores_QK, items_QK[:, :1] if item_filter.category else items_QK

    index = WithoutCategories(EMBEDDINGS, CATALOG, EmbeddedConfig())
    of_all, *of_categories = measure_recall(index, CATALOG, EMBEDDINGS, ["ads"], NOON_MS)
    assert of_all.recall_at_10 == 1 and all(recall.recall_at_10 < 0.2 for recall in of_categories)


def test_items_outside_their_window_are_no_misses():
    """Each scenario is measured among all of its items, and among those that are available."""
    index = EmbeddedIndex(EMBEDDINGS, WINDOWED_CATALOG, EmbeddedConfig())
    every, available, *_ = measure_recall(index, WINDOWED_CATALOG, EMBEDDINGS, ["ads"], NOON_MS)
    assert (every.name, available.name) == ("ads", "ads, available")
    num_available = sum(is_available(item, NOON_MS) for item in range(NUM_ITEMS))
    assert (every.num_items, available.num_items) == (NUM_ITEMS, num_available)
    assert available.recall_at_10 == available.recall_at_100 == every.recall_at_100 == 1


def test_recall_sees_an_index_that_ignores_windows():
    index = index_of(EMBEDDINGS)
    index.catalog = CATALOG
    _, available, *_ = measure_recall(index, WINDOWED_CATALOG, EMBEDDINGS, ["ads"], NOON_MS)
    assert available.recall_at_10 < 0.95
    assert available.model_dump()["moment_ms"] == NOON_MS


def test_a_bundle_without_windows_has_the_figures_that_older_versions_read():
    (ads, *_) = measure_recall(index_of(EMBEDDINGS), CATALOG, EMBEDDINGS, ["ads"], NOON_MS)
    assert "moment_ms" not in ads.model_dump()
