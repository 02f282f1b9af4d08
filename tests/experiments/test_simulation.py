"""Simulation: the planted rates are in the tables, and users, not impressions, are independent."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats

from redrec.experiments.assignment import bucket, bucket_ranges, choose_arm
from redrec.experiments.simulation import SimulatedScenario, SimulatedTables, Simulation, simulate
from tests.experiments.logs import planned, simulated

PLAN = planned(scenarios=("ads",))


def ads(num_users: int = 4_000, impressions_per_day: float = 2.0, **changes) -> SimulatedTables:
    scenario = SimulatedScenario(name="ads", **changes)
    config = Simulation(scenarios=(scenario,), num_users=num_users, impressions_per_day=impressions_per_day, seed=1)
    return simulate(config, PLAN)


def total(outcomes: pa.Table, event: str) -> float:
    return pc.sum(outcomes.filter(pc.field("event") == event)["value"]).as_py()


def rate(tables: SimulatedTables, event: str, arm: str | None = None) -> float:
    outcomes = tables.outcomes
    if arm is not None:
        users = pc.unique(tables.exposures.filter(pc.field("arm") == arm)["user_id"])
        outcomes = outcomes.filter(pc.is_in(outcomes["user_id"], users))
    return total(outcomes, event) / total(outcomes, "impression")


def test_the_tables_have_the_planted_rates():
    tables = ads(click_rate=0.2, hide_rate=0.05)
    assert rate(tables, "click") == pytest.approx(0.2, rel=0.05)
    assert rate(tables, "hide") == pytest.approx(0.05, rel=0.05)


def test_the_tables_have_the_planted_number_of_impressions():
    impressions = total(ads(impressions_per_day=3.5).outcomes, "impression")
    assert impressions / 4_000 / PLAN.days == pytest.approx(3.5, rel=0.02)


def test_only_the_planted_share_of_users_has_the_scenario():
    users = pc.count_distinct(ads(user_share=0.3).exposures["user_id"]).as_py()
    assert users == pytest.approx(0.3 * 4_000, rel=0.05)


def test_only_the_treatment_has_the_planted_effects():
    tables = ads(click_effect=0.5, hide_effect=-0.5)
    assert rate(tables, "click", "control") == pytest.approx(0.10, rel=0.1)
    assert rate(tables, "click", "treatment") == pytest.approx(0.15, rel=0.1)
    assert rate(tables, "hide", "treatment") == pytest.approx(rate(tables, "hide", "control") / 2, rel=0.15)


def test_a_users_arm_is_the_one_that_is_served():
    exposures, ranges = ads(num_users=200).exposures, bucket_ranges([0.5, 0.5])
    for user, arm in zip(exposures["user_id"].to_pylist(), exposures["arm"].to_pylist(), strict=True):
        assert PLAN.arms[choose_arm(bucket(PLAN.seed("ads"), user), ranges)].name == arm


def test_ids_are_unique():
    tables = ads(num_users=500)
    for table, name in ((tables.exposures, "exposure_id"), (tables.outcomes, "event_id")):
        assert pc.count_distinct(table[name]).as_py() == len(table)


def test_a_test_over_impressions_would_be_wrong_here():
    """The negative control of the simulation: with impressions as units, p < 0.05 comes up far too often."""
    pvalues = [impression_pvalue(simulated(seed, num_users=300, impressions_per_day=6)) for seed in range(100)]
    assert np.mean(np.array(pvalues) < 0.05) > 0.10


def impression_pvalue(tables: SimulatedTables) -> float:
    """Of homefeed."""
    feed = SimulatedTables(*(table.filter(pc.field("scenario") == "homefeed") for table in tables))
    arms = []
    for arm in ("control", "treatment"):
        users = pc.unique(feed.exposures.filter(pc.field("arm") == arm)["user_id"])
        outcomes = feed.outcomes.filter(pc.is_in(feed.outcomes["user_id"], users))
        clicks = total(outcomes, "click")
        arms.append([clicks, total(outcomes, "impression") - clicks])
    return float(stats.chi2_contingency(np.array(arms).T, correction=False).pvalue)
