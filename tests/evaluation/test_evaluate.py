"""What a scenario is worth, found where it was planted; the users' table, from which the metrics follow; slices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from redrec.data.histories import TEST, Histories
from redrec.data.items import is_allowed
from redrec.datasets.world import SCENARIOS, World
from redrec.evaluation.cases import SLICES, cases_of
from redrec.evaluation.evaluate import by_slice, measure, scenario_value
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import Scorer
from redrec.evaluation.users import users_of, users_table
from redrec.history import History
from tests.worlds import SMALL_RECIPE, SMALL_WORLD, write_world

HOMEFEED, SEARCH, ADS = range(3)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


def homefeed_reader() -> Scorer:
    """It knows each item's true interest and facet, and of a user the interests shown in the homefeed alone."""
    world = World(SMALL_WORLD)
    interest_NK = np.eye(SMALL_WORLD.num_interests)[world.interest_N]
    is_of_facet_NF = np.eye(len(SCENARIOS))[world.facet_N]
    embeddings_ND = np.hstack([interest_NK, is_of_facet_NF]).astype(np.float32)

    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: np.ndarray) -> np.ndarray:
        shown_BK = [interest_NK[history.item_L[history.scenario_L == HOMEFEED]].sum(0) for history in histories]
        facet_BF = np.tile(np.eye(len(SCENARIOS))[scenario] * 100, (len(histories), 1))
        return np.hstack([shown_BK, facet_BF])[:, None]

    return Scorer(interests_of, embeddings_ND)


def value_in_ads(data: Path) -> list[dict]:
    histories, allowed_SN = Histories(data), is_allowed(data / "items.parquet", SCENARIOS)
    cases = cases_of(histories, ADS, TEST, SMALL_RECIPE.batch.target_window, max_users=500, seed=0)
    kept = rank_cases(homefeed_reader(), histories, cases, ADS, allowed_SN[ADS])
    values = scenario_value(homefeed_reader(), histories, cases, kept, ADS, allowed_SN, seed=0)
    return [value["hit_rate@10"] for value in values]


def test_the_value_of_a_scenario_is_found_where_it_was_planted(data, tmp_path):
    """The homefeed alone is read: it is worth something in ads where users are the same, the others are worth nothing."""
    linked, shuffled = value_in_ads(data), value_in_ads(write_world(tmp_path, linked=False))
    assert linked[HOMEFEED]["low"] > 0.05
    assert shuffled[HOMEFEED]["low"] <= 0
    for worth in (linked, shuffled):
        assert [worth[s]["value"] for s in (SEARCH, ADS)] == [0, 0]


def test_the_metrics_follow_from_the_users_table(data, tmp_path):
    histories, allowed_SN = Histories(data), is_allowed(data / "items.parquet", SCENARIOS)
    cases = cases_of(histories, ADS, TEST, SMALL_RECIPE.batch.target_window, max_users=300, seed=0)
    ranks = rank_cases(homefeed_reader(), histories, cases, ADS, allowed_SN[ADS])
    with users_table(tmp_path / "users.parquet") as write:
        write(users_of(histories, cases, ADS, "ads"), "reader", ranks)

    rows = pq.read_table(tmp_path / "users.parquet").to_pylist()
    measured = measure(ranks, seed=0)
    assert len(rows) == measured["hit_rate@10"]["users"] == 300
    for name, column in (("recall@10", "ranks"), ("recall@10_unseen", "ranks_unseen")):
        rank_UT = np.zeros((len(rows), 5), dtype=int)
        for rank_T, row in zip(rank_UT, rows, strict=True):
            rank_T[: len(row[column])] = [rank or 0 for rank in row[column]]
        assert np.nanmean(user_metrics(rank_UT, (10,))["recall@10"]) == pytest.approx(measured[name]["value"])
    num_known = [len(case.known(histories).item_L) for case in cases]
    assert [row["num_known"] for row in rows] == num_known
    assert all(row["num_known_of_scenario"] <= row["num_known"] for row in rows)


def test_the_slices_of_a_scenario_sum_to_its_users(data):
    histories, allowed_SN = Histories(data), is_allowed(data / "items.parquet", SCENARIOS)
    cases = cases_of(histories, ADS, TEST, SMALL_RECIPE.batch.target_window, max_users=300, seed=0)
    ranks = {"reader": rank_cases(homefeed_reader(), histories, cases, ADS, allowed_SN[ADS])}
    slices = by_slice(users_of(histories, cases, ADS, "ads")["slice"], ranks, seed=0)
    whole = measure(ranks["reader"], seed=0)["mrr"]
    parts = [slices[name]["reader"]["mrr"] for name in SLICES]
    assert all(part["users"] for part in parts)
    assert sum(part["value"] * part["users"] for part in parts) == pytest.approx(whole["value"] * whole["users"])
