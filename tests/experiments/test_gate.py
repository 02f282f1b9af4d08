"""The gate on simulated logs: error rates without effect, power with one, and each limit of the plan."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy import stats

from redrec.config import InputError
from redrec.experiments.gate import Arm, Decision, RatioMetric, fixed_horizon_gate, read_log
from tests.experiments.logs import SCENARIOS, planned, simulated

CLICKS = RatioMetric(numerator="clicks", denominator="impressions")
HIDES = RatioMetric(numerator="hides", denominator="impressions")


@pytest.fixture(scope="module")
def null_decisions():
    """The gate over 100 experiments without any effect, 3 scenarios each."""
    return [fixed_horizon_gate(simulated(seed, num_users=500), planned()) for seed in range(100)]


def test_pvalues_are_uniform_without_effect(null_decisions):
    """Guardrail p-values are independent between scenarios; those of the metric share the users' appeal."""
    metric = [one["ads"].numbers.metric.pvalue_higher for one in null_decisions]
    guardrail = []
    for name in SCENARIOS:
        guardrail += [one[name].numbers.guardrail.pvalue_higher for one in null_decisions]
    assert stats.kstest(metric, "uniform").pvalue > 0.01
    assert stats.kstest(guardrail, "uniform").pvalue > 0.01


def is_any_promoted(decisions: dict[str, Decision]) -> bool:
    return any(decision.verdict == "promote" for decision in decisions.values())


def test_false_promotions_and_rollbacks_stay_below_their_levels(null_decisions):
    """Any of three scenarios promoted: at most 5 %. One rolled back: at most 2.5 % for each of two metrics."""
    promoted = sum(is_any_promoted(decisions) for decisions in null_decisions)
    rolled_back = sum(decisions["ads"].verdict == "rollback" for decisions in null_decisions)
    assert promoted <= stats.binom.ppf(0.999, 100, 0.05)
    assert rolled_back <= stats.binom.ppf(0.999, 100, 2 * 0.025)


@pytest.fixture(scope="module")
def ads_better_decisions():
    """A lift of 25 % is about 4 standard errors at 2,000 users, so its power is above 0.95."""
    return [fixed_horizon_gate(simulated(seed, effects={"ads": 0.25}), planned()) for seed in range(40)]


def test_only_the_scenario_with_the_planted_effect_is_promoted(ads_better_decisions):
    def promoted(name: str) -> float:
        return np.mean([one[name].verdict == "promote" for one in ads_better_decisions])

    assert promoted("ads") >= 0.85  # a guardrail that looks worse by chance costs up to 2.5 %
    assert promoted("homefeed") <= 0.1 and promoted("search") <= 0.1


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


def test_a_scenario_that_the_plan_does_not_name_is_refused():
    with pytest.raises(InputError, match="has the scenario 'homefeed'; the plan names search, ads"):
        fixed_horizon_gate(simulated(1, num_users=50), planned(scenarios=("search", "ads")))


def test_rows_of_another_experiment_are_ignored():
    log = simulated(1, num_users=500)
    other = simulated(2, num_users=500, experiment="towers-3")
    assert fixed_horizon_gate(pa.concat_tables([log, other]), planned()) == fixed_horizon_gate(log, planned())


def without_events(log: pa.Table, column: str, arm: str) -> pa.Table:
    emptied = pc.if_else(pc.equal(log["arm"], arm), 0, log[column])
    return log.set_column(log.schema.get_field_index(column), column, emptied)


def test_a_treatment_without_any_click_is_rolled_back():
    decisions = fixed_horizon_gate(without_events(simulated(1), "clicks", "treatment"), planned())
    assert {one.verdict for one in decisions.values()} == {"rollback"}


def test_a_guardrail_that_only_the_treatment_moves_is_rolled_back():
    decisions = fixed_horizon_gate(without_events(simulated(1), "hides", "control"), planned())
    assert {one.verdict for one in decisions.values()} == {"rollback"}


def test_a_stricter_alpha_holds_what_a_planted_effect_would_promote():
    log = simulated(2, effects={"ads": 0.3})
    assert fixed_horizon_gate(log, planned(guardrail_margin=5.0))["ads"].verdict == "promote"
    strict = fixed_horizon_gate(log, planned(guardrail_margin=5.0, alpha=1e-12))["ads"]
    assert (strict.verdict, "not shown to be better" in strict.reason) == ("hold", True)


def test_a_stricter_harm_alpha_holds_what_a_planted_loss_would_roll_back():
    log = simulated(1, effects={"search": -0.3})
    assert fixed_horizon_gate(log, planned(harm_alpha=1e-12))["search"].verdict == "hold"


def test_a_stricter_srm_alpha_accepts_an_uneven_split():
    log = simulated(1, lost_treatment_share=0.2)
    decisions = fixed_horizon_gate(log, planned(srm_alpha=1e-30))
    assert not any("sample ratio mismatch" in one.reason for one in decisions.values())


def test_a_larger_share_in_both_arms_may_be_allowed():
    decisions = fixed_horizon_gate(with_moved_users(simulated(1), 100), planned(max_both_arms_share=0.1))
    assert decisions["ads"].numbers.both_arms_share == pytest.approx(0.05)
    assert "not sticky" not in decisions["ads"].reason


def test_the_least_number_of_users_is_the_plans():
    log = simulated(1, num_users=150)
    assert "fewer than 100 in an arm" in fixed_horizon_gate(log, planned())["ads"].reason
    assert "in an arm" not in fixed_horizon_gate(log, planned(min_users=50, min_events=10))["ads"].reason


def test_the_metric_and_the_guardrail_are_the_plans():
    """With hides as the metric, more hides are better; more clicks are then the harm."""
    swapped = planned(metric=HIDES, guardrail=CLICKS)
    more_hides = fixed_horizon_gate(simulated(1, hide_effects={"ads": 0.6}), swapped)["ads"]
    assert more_hides.numbers.metric.pvalue_higher < 0.001 and more_hides.reason.startswith("hides/impressions +")
    more_clicks = fixed_horizon_gate(simulated(1, effects={"ads": 0.5}), swapped)["ads"]
    assert (more_clicks.verdict, more_clicks.reason[:20]) == ("rollback", "clicks/impressions +")


def test_the_denominator_is_the_plans():
    per_click = RatioMetric(numerator="hides", denominator="clicks")
    log = simulated(1)
    numbers = fixed_horizon_gate(log, planned(guardrail=per_click))["ads"].numbers
    control = log.filter((pc.field("arm") == "control") & (pc.field("scenario") == "ads"))
    assert numbers.guardrail.control == pytest.approx(
        pc.sum(control["hides"]).as_py() / pc.sum(control["clicks"]).as_py()
    )


def test_a_log_is_read_from_parquet(tmp_path):
    log = simulated(1, num_users=20)
    pq.write_table(log, tmp_path / "log.parquet")
    assert read_log(tmp_path / "log.parquet").equals(log)


def test_a_log_that_is_absent_or_no_parquet_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"log\.parquet cannot be read as a Parquet file"):
        read_log(tmp_path / "log.parquet")
    (tmp_path / "log.csv").write_text("user_id,arm\n")
    with pytest.raises(InputError, match=r"log\.csv cannot be read as a Parquet file.*Give an experiment log"):
        read_log(tmp_path / "log.csv")
