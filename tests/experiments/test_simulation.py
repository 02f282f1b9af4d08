"""Simulation: the planted rates are in the log, and users, not impressions, are independent."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats

from redrec.experiments.simulation import SimulatedScenario, Simulation, simulate
from tests.experiments.logs import simulated


def ads_log(num_users: int = 4_000, impressions_per_day: float = 2.0, **changes) -> pa.Table:
    ads = SimulatedScenario(name="ads", **changes)
    return simulate(
        Simulation(
            experiment="towers-2",
            scenarios=(ads,),
            num_users=num_users,
            impressions_per_day=impressions_per_day,
            seed=1,
        )
    )


def rate(log: pa.Table, column: str) -> float:
    return pc.sum(log[column]).as_py() / pc.sum(log["impressions"]).as_py()


def test_the_log_has_the_planted_rates():
    log = ads_log(click_rate=0.2, hide_rate=0.05)
    assert rate(log, "clicks") == pytest.approx(0.2, rel=0.05)
    assert rate(log, "hides") == pytest.approx(0.05, rel=0.05)


def test_the_log_has_the_planted_number_of_impressions():
    assert pc.mean(ads_log(impressions_per_day=3.5)["impressions"]).as_py() == pytest.approx(3.5, rel=0.02)


def test_only_the_planted_share_of_users_has_the_scenario():
    users = pc.count_distinct(ads_log(user_share=0.3)["user_id"]).as_py()
    assert users == pytest.approx(0.3 * 4_000, rel=0.05)


def test_only_the_treatment_has_the_planted_effects():
    log = ads_log(click_effect=0.5, hide_effect=-0.5)
    control, treatment = (log.filter(pc.field("arm") == arm) for arm in ("control", "treatment"))
    assert rate(control, "clicks") == pytest.approx(0.10, rel=0.1)
    assert rate(treatment, "clicks") == pytest.approx(0.15, rel=0.1)
    assert rate(treatment, "hides") == pytest.approx(rate(control, "hides") / 2, rel=0.1)


def test_a_test_over_impressions_would_be_wrong_here():
    """The negative control of the simulation: with impressions as units, p < 0.05 comes up far too often."""
    pvalues = [impression_pvalue(simulated(seed, num_users=300)) for seed in range(100)]
    assert np.mean(np.array(pvalues) < 0.05) > 0.10


def impression_pvalue(log: pa.Table) -> float:
    sums = [log.filter(pc.field("arm") == arm) for arm in ("control", "treatment")]
    clicks = [pc.sum(one["clicks"]).as_py() for one in sums]
    others = [pc.sum(one["impressions"]).as_py() - click for one, click in zip(sums, clicks, strict=True)]
    return float(stats.chi2_contingency([clicks, others], correction=False).pvalue)
