import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats

from redrec.config import InputError
from redrec.experiments.gate import Arm, Plan, RatioMetric, fixed_horizon_gate
from redrec.experiments.simulation import SimulatedScenario, Simulation, simulate

SCENARIOS = ("homefeed", "search", "ads")


def planned(**changes) -> Plan:
    return Plan(experiment="towers-2", scenarios=SCENARIOS, num_days=7, guardrail_margin=0.5).model_copy(update=changes)


def simulated(seed, num_users=2_000, effects=None, hide_effects=None, **changes) -> pa.Table:
    """Clicks cluster by user; `effects` and `hide_effects` are relative changes by scenario."""
    scenarios = tuple(
        SimulatedScenario(
            name=name, click_effect=(effects or {}).get(name, 0), hide_effect=(hide_effects or {}).get(name, 0)
        )
        for name in SCENARIOS
    )
    return simulate(Simulation(experiment="towers-2", scenarios=scenarios, num_users=num_users, seed=seed, **changes))


@pytest.fixture(scope="module")
def null_decisions():
    """The gate over 100 experiments without any effect, 3 scenarios each."""
    return [fixed_horizon_gate(simulated(seed, num_users=500), planned()) for seed in range(100)]


def test_pvalues_are_uniform_without_effect(null_decisions):
    """Guardrail p-values are independent between scenarios; those of the metric share the users' appeal."""
    metric = [one["ads"].numbers.metric.pvalue_higher for one in null_decisions]
    guardrail = [one[name].numbers.guardrail.pvalue_higher for one in null_decisions for name in SCENARIOS]
    assert stats.kstest(metric, "uniform").pvalue > 0.01
    assert stats.kstest(guardrail, "uniform").pvalue > 0.01


def test_false_promotions_and_rollbacks_stay_below_their_levels(null_decisions):
    """Any of three scenarios promoted: at most 5 %. One rolled back: at most 2.5 % for each of two metrics."""
    promoted = sum(any(one.verdict == "promote" for one in decisions.values()) for decisions in null_decisions)
    rolled_back = sum(decisions["ads"].verdict == "rollback" for decisions in null_decisions)
    assert promoted <= stats.binom.ppf(0.999, 100, 0.05)
    assert rolled_back <= stats.binom.ppf(0.999, 100, 2 * 0.025)


def test_a_test_over_impressions_would_be_wrong_here():
    """The negative control of the simulation: with impressions as units, p < 0.05 comes up far too often."""
    pvalues = [impression_pvalue(simulated(seed, num_users=300)) for seed in range(100)]
    assert np.mean(np.array(pvalues) < 0.05) > 0.10


def impression_pvalue(log: pa.Table) -> float:
    sums = [log.filter(pc.field("arm") == arm) for arm in ("control", "treatment")]
    clicks = [pc.sum(one["clicks"]).as_py() for one in sums]
    others = [pc.sum(one["impressions"]).as_py() - click for one, click in zip(sums, clicks, strict=True)]
    return float(stats.chi2_contingency([clicks, others], correction=False).pvalue)


@pytest.fixture(scope="module")
def ads_better_decisions():
    """A lift of 25 % is about 4 standard errors at 2,000 users, so its power is above 0.95."""
    return [fixed_horizon_gate(simulated(seed, effects={"ads": 0.25}), planned()) for seed in range(40)]


def test_only_the_scenario_with_the_planted_effect_is_promoted(ads_better_decisions):
    promoted = {name: np.mean([one[name].verdict == "promote" for one in ads_better_decisions]) for name in SCENARIOS}
    assert promoted["ads"] >= 0.85  # a guardrail that looks worse by chance costs up to 2.5 %
    assert promoted["homefeed"] <= 0.1 and promoted["search"] <= 0.1


def test_the_interval_covers_the_planted_effect(ads_better_decisions):
    metrics = [one["ads"].numbers.metric for one in ads_better_decisions]
    assert sum(one.low <= 0.25 <= one.high for one in metrics) >= stats.binom.ppf(0.001, 40, 1 - 2 * 0.05 / 3)


def test_a_planted_loss_is_rolled_back():
    decisions = fixed_horizon_gate(simulated(1, effects={"search": -0.3}), planned())
    assert decisions["search"].verdict == "rollback"
    assert "clicks/impressions -" in decisions["search"].reason


def test_a_harmed_guardrail_is_rolled_back_although_the_metric_is_better():
    decisions = fixed_horizon_gate(simulated(1, effects={"ads": 0.3}, hide_effects={"ads": 0.6}), planned())
    assert decisions["ads"].numbers.metric.pvalue_higher < 0.01
    assert decisions["ads"].verdict == "rollback"
    assert decisions["ads"].reason.startswith("hides/impressions +")


def test_a_guardrail_that_is_not_shown_to_be_within_its_margin_holds():
    decisions = fixed_horizon_gate(simulated(1, effects={"ads": 0.3}), planned(guardrail_margin=0.001))
    assert decisions["ads"].verdict == "hold"
    assert "may rise above +0%" in decisions["ads"].reason


def test_a_planted_sample_ratio_mismatch_holds_every_scenario():
    log = simulated(1, effects={"ads": 0.3}, lost_treatment_share=0.2)
    decisions = fixed_horizon_gate(log, planned())
    assert {one.verdict for one in decisions.values()} == {"hold"}
    assert all("sample ratio mismatch" in one.reason for one in decisions.values())


def test_uneven_planned_weights_are_no_mismatch():
    weights = (0.8, 0.2)
    plan = planned(control=Arm(name="control", weight=0.8), treatment=Arm(name="treatment", weight=0.2))
    decisions = fixed_horizon_gate(simulated(1, weights=weights), plan)
    assert all(one.numbers.srm_pvalue > 0.001 for one in decisions.values())
    assert "sample ratio mismatch" in fixed_horizon_gate(simulated(1, weights=weights), planned())["ads"].reason


def test_reading_before_the_planned_end_holds():
    log = simulated(1, effects={"ads": 0.5})
    decisions = fixed_horizon_gate(log, planned(num_days=14))
    assert decisions["ads"].reason.startswith("read on day 7 of 14")


def test_days_after_the_planned_end_do_not_count():
    log = simulated(1, num_days=9)
    first_week = log.filter(pc.field("day") < 7)
    assert fixed_horizon_gate(log, planned()) == fixed_horizon_gate(first_week, planned())


def with_moved_users(log: pa.Table, num_users: int) -> pa.Table:
    """The log, and its first users once more in the other arm."""
    users = pc.unique(log["user_id"]).slice(0, num_users)
    moved = log.filter(pc.is_in(log["user_id"], users))
    other = pc.if_else(pc.equal(moved["arm"], "control"), "treatment", "control")
    return pa.concat_tables([log, moved.set_column(moved.schema.get_field_index("arm"), "arm", other)])


def test_users_in_both_arms_hold_the_scenario_and_name_the_share():
    decisions = fixed_horizon_gate(with_moved_users(simulated(1), 100), planned())
    assert decisions["ads"].reason == "5.0% of users were in both arms; assignment is not sticky"


def test_few_users_in_both_arms_are_dropped():
    log = simulated(1)
    without = log.filter(pc.invert(pc.is_in(log["user_id"], pc.unique(log["user_id"]).slice(0, 10))))
    mixed = fixed_horizon_gate(with_moved_users(log, 10), planned())["ads"].numbers
    assert mixed.both_arms_share == pytest.approx(10 / 2_000)
    assert mixed.metric == fixed_horizon_gate(without, planned())["ads"].numbers.metric


def test_too_few_users_or_events_hold():
    assert "fewer than 100 in an arm" in fixed_horizon_gate(simulated(1, num_users=100), planned())["ads"].reason
    assert "fewer than 100000" in fixed_horizon_gate(simulated(1), planned(min_events=100_000))["ads"].reason


def test_a_scenario_without_rows_holds():
    log = simulated(1).filter(pc.field("scenario") != "ads")
    assert fixed_horizon_gate(log, planned())["ads"].reason.startswith("0 control and 0 treatment users")


def test_an_absent_column_is_named():
    with pytest.raises(InputError, match="no column purchases"):
        fixed_horizon_gate(simulated(1), planned(metric=RatioMetric(numerator="purchases", denominator="impressions")))


def test_an_arm_that_the_plan_does_not_name_is_refused():
    with pytest.raises(InputError, match="has the arm 'treatment'; the plan names control, challenger"):
        fixed_horizon_gate(simulated(1), planned(treatment=Arm(name="challenger", weight=0.5)))


def without_events(log: pa.Table, column: str, arm: str) -> pa.Table:
    emptied = pc.if_else(pc.equal(log["arm"], arm), 0, log[column])
    return log.set_column(log.schema.get_field_index(column), column, emptied)


def test_a_treatment_without_any_click_is_rolled_back():
    decisions = fixed_horizon_gate(without_events(simulated(1), "clicks", "treatment"), planned())
    assert {one.verdict for one in decisions.values()} == {"rollback"}


def test_a_guardrail_that_only_the_treatment_moves_is_rolled_back():
    decisions = fixed_horizon_gate(without_events(simulated(1), "hides", "control"), planned())
    assert {one.verdict for one in decisions.values()} == {"rollback"}
