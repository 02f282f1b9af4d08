"""The value of a scenario where it was planted, the slices of users, and an import without torch."""

from pathlib import Path

import pytest

from redrec.data.histories import TEST, Histories
from redrec.data.items import is_allowed
from redrec.datasets.world import SCENARIOS
from redrec.evaluation.cases import SLICES, cases_of
from redrec.evaluation.evaluate import by_slice, measure, scenario_value
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.users import users_of
from tests.evaluation.readers import ADS, HOMEFEED, SEARCH, homefeed_reader
from tests.worlds import SMALL_RECIPE, write_world


def value_in_ads(data: Path) -> list[dict]:
    histories, allowed_SN = Histories(data), is_allowed(data / "items.parquet", SCENARIOS)
    cases = cases_of(histories, ADS, TEST, SMALL_RECIPE.evaluation.num_targets, max_users=500, seed=0)
    kept = rank_cases(homefeed_reader(), histories, cases, ADS, allowed_SN[ADS])
    values = scenario_value(homefeed_reader(), histories, cases, kept, ADS, allowed_SN, seed=0)
    return [value["hit_rate@10"] for value in values]


def test_only_the_planted_scenario_has_a_value(data, tmp_path):
    """Only the homefeed is read: it has a value in ads if the users are the same; the other scenarios have none."""
    linked, shuffled = value_in_ads(data), value_in_ads(write_world(tmp_path, linked=False))
    assert linked[HOMEFEED]["low"] > 0.05
    assert shuffled[HOMEFEED]["low"] <= 0
    for values in (linked, shuffled):
        assert [values[s]["value"] for s in (SEARCH, ADS)] == [0, 0]


def test_the_slices_of_a_scenario_sum_to_its_users(data):
    histories, allowed_SN = Histories(data), is_allowed(data / "items.parquet", SCENARIOS)
    cases = cases_of(histories, ADS, TEST, SMALL_RECIPE.evaluation.num_targets, max_users=300, seed=0)
    ranks = {"reader": rank_cases(homefeed_reader(), histories, cases, ADS, allowed_SN[ADS])}
    slices = by_slice(users_of(histories, cases, ADS, "ads")["slice"], ranks, seed=0)
    whole = measure(ranks["reader"], seed=0)["mrr"]
    mrr_of_slices = [slices[name]["reader"]["mrr"] for name in SLICES]
    assert all(mrr["users"] for mrr in mrr_of_slices)
    assert sum(mrr["value"] * mrr["users"] for mrr in mrr_of_slices) == pytest.approx(whole["value"] * whole["users"])
