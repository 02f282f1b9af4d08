"""Boosts at request time: popular items from the features, own items from the history; search stays exact."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from feature_repo.definitions import item_source_path
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.histories import Histories
from redrec.evaluation.popularity import counts_before
from redrec.folders import RunFolder
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.medoids import POPULARITY
from redrec.index.popularity_boost import daily_rates, popularity_lifts
from redrec.model.boosts import BoostWeights
from serving.histories import HistoryReader
from serving.retriever import Retriever
from serving.shedding import Waiting
from tests.bundles import tiny_run
from tests.serving.conftest import Way
from tests.serving.retrieval import (
    IMPATIENT,
    PATIENT,
    QUERIED,
    SEEN,
    answers,
    exact_items,
    item_ids,
    medoid_items,
    query,
    stuck_tower,
)

OWN = 0.7


@pytest.fixture(scope="module")
def boosting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    """A bundle with boosts of both kinds, and its features; the plain counts of own items, whatever their age."""
    folder = tmp_path_factory.mktemp("boosting")
    return tiny_run(folder, boosts=BoostWeights(popularity=0.3, own=(0, 0, OWN, 0, 0, 0))), RunFolder(folder).features


@QUERIED
def test_boosts_are_added_in_process_and_to_what_a_server_finds(
    boosting: tuple[Bundle, Path], way: Way, options: dict, item_filter: ItemFilter
):
    """As evaluation adds them, from all events that the features hold and those of the request."""
    bundle, features = boosting
    histories, queried = Histories(features.parent / "data"), query(**options)
    number, shape = bundle.manifest.scenarios.index(queried.scenario), (3, len(bundle.item_ids))
    after_newest_ms = int(np.asarray(histories.timestamp_ms_N).max()) + 1
    rate_N = daily_rates(counts_before(histories, after_newest_ms, shape)[:, number])
    is_allowed_N = Catalog(bundle.items, bundle.item_index).is_allowed(ItemFilter(queried.scenario))
    boost_N = 0.3 * popularity_lifts(rate_N, is_allowed_N)
    if queried.scenario == "homefeed":  # that of the history's events
        boost_N[[bundle.item_index[item] for item in SEEN]] += OWN * np.log(2)
    answer = answers(bundle, lambda retriever: retriever.answer(queried), way.config(bundle), features=features)
    assert answer.source == way.source
    assert item_ids(answer) == exact_items(bundle, queried.scenario, queried.k, item_filter, boost_N)
    assert item_ids(answer) != exact_items(bundle, queried.scenario, queried.k, item_filter)


def test_features_without_the_items_statistics_are_refused(boosting: tuple[Bundle, Path], tmp_path: Path):
    bundle, features = boosting
    shutil.copytree(features, tmp_path / "features")
    (tmp_path / "features" / item_source_path("ads")).unlink()
    with pytest.raises(InputError, match=f"items_ads.parquet is missing, and bundle {bundle.manifest.id} boosts"):
        Retriever(bundle, PATIENT, HistoryReader(tmp_path / "features"), Waiting())


def test_without_features_own_items_are_boosted_alone(boosting: tuple[Bundle, Path]):
    bundle = boosting[0]
    answer = answers(bundle, lambda retriever: retriever.answer(query()))
    own_N = np.zeros(len(bundle.item_ids))
    own_N[[bundle.item_index[item] for item in SEEN]] = OWN * np.log(2)
    assert item_ids(answer) == exact_items(bundle, "homefeed", query().k, ItemFilter("homefeed"), own_N)


def test_popular_items_are_raised_more_for_medoids(tmp_path: Path):
    """By `POPULARITY` above the bundle's weight, which is zero here; the logit scale is 1."""
    bundle, features = tiny_run(tmp_path), RunFolder(tmp_path).features
    number, shape = bundle.manifest.scenarios.index("homefeed"), (3, len(bundle.item_ids))
    histories = Histories(tmp_path / "data")
    after_newest_ms = int(np.asarray(histories.timestamp_ms_N).max()) + 1
    rate_N = daily_rates(counts_before(histories, after_newest_ms, shape)[:, number])
    lift_N = popularity_lifts(rate_N, Catalog(bundle.items, bundle.item_index).is_allowed(ItemFilter("homefeed")))

    async def while_stuck(retriever: Retriever):
        with stuck_tower(retriever):
            return await retriever.answer(query())

    answer = answers(bundle, while_stuck, PATIENT.model_copy(update=IMPATIENT), features=features)
    assert item_ids(answer) == medoid_items(bundle, "homefeed", 10, POPULARITY * lift_N)
    assert item_ids(answer) != medoid_items(bundle, "homefeed", 10)
