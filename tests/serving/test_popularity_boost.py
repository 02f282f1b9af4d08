"""The popularity boost at request time, read from the features."""

import shutil
from pathlib import Path

import pytest

from feature_repo.definitions import item_source_path
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.histories import TEST, Histories, recent_counts
from redrec.folders import RunFolder
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.popularity_boost import boosts, daily_rates
from serving.retriever import Retriever
from tests.bundles import tiny_run
from tests.serving.retrieval import PATIENT, QUERIED, answers, exact_items, item_ids, query


@pytest.fixture(scope="module")
def boosting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    """A bundle with a popularity boost, and its features."""
    folder = tmp_path_factory.mktemp("boosting")
    return tiny_run(folder, popularity_boost_weight=0.3), RunFolder(folder).features


@QUERIED
@pytest.mark.parametrize("max_search_ms", [20_000, 0])
def test_the_popularity_boost_is_added_by_the_index_and_by_exact_search(
    boosting: tuple[Bundle, Path], options: dict, item_filter: ItemFilter, max_search_ms: int
):
    """As evaluation adds it, from all events that the features hold."""
    bundle, features = boosting
    histories = Histories(features.parent / "data")
    counts_WSN = recent_counts(histories, TEST + 1, len(bundle.item_ids), len(bundle.manifest.scenarios))
    queried = query(**options)
    rate_N = daily_rates(counts_WSN[:, bundle.manifest.scenarios.index(queried.scenario)])
    boost_N = boosts(rate_N, Catalog(bundle.items, bundle.item_index).is_allowed(ItemFilter(queried.scenario)), 0.3, 1)
    config = PATIENT.model_copy(update={"search_budget_ms": max_search_ms})
    answer = answers(bundle, lambda retriever: retriever.answer(queried), config, features=features)
    assert answer.source == ("model" if max_search_ms else "exact")
    assert item_ids(answer) == exact_items(bundle, queried.scenario, queried.k, item_filter, boost_N)
    assert item_ids(answer) != exact_items(bundle, queried.scenario, queried.k, item_filter)


def test_features_without_the_items_statistics_are_refused(boosting: tuple[Bundle, Path], tmp_path: Path):
    bundle, features = boosting
    shutil.copytree(features, tmp_path / "features")
    (tmp_path / "features" / item_source_path("ads")).unlink()
    with pytest.raises(InputError, match=f"items_ads.parquet is missing, and bundle {bundle.manifest.id} boosts"):
        Retriever(bundle, PATIENT, tmp_path / "features")


def test_without_features_nothing_is_boosted(boosting: tuple[Bundle, Path]):
    answer = answers(boosting[0], lambda retriever: retriever.answer(query()))
    assert item_ids(answer) == exact_items(boosting[0], "homefeed", query().k, ItemFilter("homefeed"))
