"""The gate on generated experiments: error rates without effect, power with one, and each rule."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats

from redrec.experiments.decisions import Decision, Result
from redrec.experiments.gate import decide, decide_log
from redrec.experiments.plan import Arm, Guardrail, Metric, Plan
from redrec.experiments.simulation import SimulatedTables
from tests.experiments import logs, worlds
from tests.experiments.logs import planned, simulated, written
from tests.experiments.worlds import Planted, world

LOOSE = Guardrail(event="hide", per="impression", direction="down", margin=0.5)
PLAN = worlds.planned(guardrails=(LOOSE,), volume_margin=0.3, min_users=500)
NUM_USERS = 5000


def decided(seed: int, planted: dict[str, Planted] | None = None, plan: Plan = PLAN, **changes) -> dict[str, Decision]:
    return decide_log(world(seed, plan, changes.pop("num_users", NUM_USERS), planted, **changes), plan).scenarios


@pytest.fixture(scope="module")
def without_effect() -> list[dict[str, Decision]]:
    return [decided(seed) for seed in range(20)]


def test_daily_looks_keep_the_levels_without_an_effect(without_effect):
    """Heavy-tailed returning users, correlated scenarios, weekdays; any promotion 5 %, a scenario's rollback 2.5 %."""
    any_promoted = sum(any(one.verdict == "promote" for one in each.values()) for each in without_effect)
    rolled_back = [one.verdict == "rollback" for each in without_effect for one in each.values()]
    assert any_promoted <= stats.binom.ppf(0.99, len(without_effect), 0.05)
    assert sum(rolled_back) <= stats.binom.ppf(0.99, len(rolled_back), 0.025)


def test_a_planted_effect_is_promoted_in_its_scenario_alone():
    better = [decided(seed, {"homefeed": Planted(click=0.3)}) for seed in range(12)]
    assert np.mean([each["homefeed"].verdict == "promote" for each in better]) > 0.8
    num_others = sum(each["search"].verdict == "promote" for each in better)
    assert num_others <= stats.binom.ppf(0.99, len(better), 0.05)
    intervals = [each["homefeed"].metrics["click/impression"] for each in better]
    assert sum(one.low <= 0.3 <= one.high for one in intervals) >= 10


@pytest.mark.parametrize(
    ("planted", "metric"),
    [
        (Planted(click=-0.3), "click"),
        (Planted(volume=-0.6, click=0.1), "click "),  # fewer impressions with a better rate: a ratio alone is blind
        (Planted(hide=2.0), "hide/impression"),
    ],
)
def test_harm_is_found_before_the_end_whatever_metric_it_is_in(planted, metric):
    harmed = [decided(seed, {"homefeed": planted})["homefeed"] for seed in range(6)]
    assert np.mean([one.verdict == "rollback" for one in harmed]) > 0.8
    stopped = [one for one in harmed if one.verdict == "rollback"]
    assert np.mean([one.look for one in stopped]) < 10
    assert all(one.reason.startswith(metric) for one in stopped)


def test_a_better_rate_of_fewer_impressions_is_not_promoted():
    """Fewer clicks in all: of everybody's impressions, or of those of users who click little."""
    plan = PLAN.model_copy(update={"volume_margin": 0.03})
    for planted in (Planted(click=0.15, volume=-0.2), Planted(weak_users=-0.9)):
        trades = [decided(seed, {"homefeed": planted}, plan)["homefeed"] for seed in range(6)]
        assert "promote" not in {one.verdict for one in trades}


def test_a_guardrail_that_may_be_worse_than_its_margin_holds():
    strict = PLAN.model_copy(update={"guardrails": (LOOSE.model_copy(update={"margin": 0.01}),)})
    held = decided(1, {"homefeed": Planted(click=0.4)}, strict)["homefeed"]
    assert (held.verdict, held.rule) == ("hold", "guardrail")
    assert "hide/impression" in held.reason and "may be worse than its margin" in held.reason


def test_a_shared_arm_has_one_verdict_by_the_total():
    shared = PLAN.model_copy(update={"applies": "shared"})
    better = decided(1, {name: Planted(click=0.3, volume=0.05) for name in worlds.SCENARIOS}, shared)
    assert {one.verdict for one in better.values()} == {"promote"}
    trade = {"homefeed": Planted(click=-0.25, volume=-0.1), "search": Planted(click=0.4)}
    for seed in range(6):
        assert {one.verdict for one in decided(seed, trade, shared).values()} == {"rollback"}


def test_a_small_arm_is_compared_by_permutation_and_keeps_its_level():
    small = PLAN.model_copy(
        update={
            "control": Arm(name="control", weight=0.9),
            "treatment": Arm(name="treatment", weight=0.1),
            "min_users": 100,
            "looks": (14,),
        }
    )
    decisions = [decided(seed, plan=small, num_users=1500)["homefeed"] for seed in range(6)]
    assert sum(one.verdict == "rollback" for one in decisions) <= stats.binom.ppf(0.99, 6, 0.025)
    assert decided(0, {"homefeed": Planted(click=-0.8)}, small, num_users=1500)["homefeed"].verdict == "rollback"


def test_promoted_estimates_are_adjusted_downwards():
    early = [decided(seed, {"homefeed": Planted(click=0.3)})["homefeed"] for seed in range(6)]
    promoted = [one.metrics["click/impression"] for one in early if one.verdict == "promote"]
    assert promoted and all(one.adjusted <= one.relative + 1e-9 for one in promoted)


# Tables


def result_of(tables: SimulatedTables, plan: Plan | None = None, **changes) -> Result:
    with TemporaryDirectory() as folder:
        return decide(*written(tables, Path(folder)), plan or planned(), **changes)


@pytest.fixture(scope="module")
def tables() -> SimulatedTables:
    return simulated(1, effects={"ads": 0.3, "search": -0.3})


def verdicts(result: Result) -> dict[str, str]:
    return {name: decision.verdict for name, decision in result.scenarios.items()}


def test_each_scenario_has_its_own_verdict(tables):
    result = result_of(tables)
    assert verdicts(result) == {"homefeed": "hold", "search": "rollback", "ads": "promote"}
    assert (result.verdict, result.plan_hash, result.look) == ("rollback", planned().hash(), 7)
    assert result.through == logs.START + timedelta(days=7)


def test_duplicates_and_the_order_of_rows_leave_the_result_as_it_is():
    """Values have fractions, whose sums as floating-point numbers depend on the order."""
    tables = simulated(3, num_users=1_500)
    values = pa.array(np.random.default_rng(0).lognormal(0, 2, len(tables.outcomes)))
    at = tables.outcomes.column_names.index("value")
    tables = tables._replace(outcomes=tables.outcomes.set_column(at, "value", values))
    twice = SimulatedTables(*(pa.concat_tables([table.slice(500), table.slice(0, 900)]) for table in tables))
    assert result_of(twice) == result_of(tables)
    assert result_of(tables).scenarios["ads"].metrics["click"].z is not None


def test_a_late_stray_row_decides_nothing(tables):
    """Three days of data, and one row of the last day."""
    early = SimulatedTables(*(table.filter(pc.field("timestamp") < logs.START + timedelta(days=3)) for table in tables))
    stray = tables.exposures.filter(pc.field("timestamp") > logs.START + timedelta(days=6, hours=23)).slice(0, 1)
    result = result_of(early._replace(exposures=pa.concat_tables([early.exposures, stray])))
    ads = result.scenarios["ads"]
    assert (ads.verdict, ads.rule, ads.look) == ("insufficient", "missing_rows", 3)


def test_late_clicks_of_one_arm_are_waited_for(tables):
    users = pc.unique(tables.exposures.filter(pc.field("arm") == "treatment")["user_id"])
    is_late = pc.and_(
        pc.and_(pc.equal(tables.outcomes["event"], "click"), pc.is_in(tables.outcomes["user_id"], users)),
        pc.greater(tables.outcomes["timestamp"], pa.scalar(logs.START + timedelta(days=5))),
    )
    result = result_of(tables._replace(outcomes=tables.outcomes.filter(pc.invert(is_late))))
    assert result.scenarios["ads"].look == 5


def test_nothing_is_decided_past_the_time_that_is_given_or_the_watermark(tables):
    assert result_of(tables, through=logs.START + timedelta(days=4)).scenarios["homefeed"].look == 4
    assert result_of(tables, planned(watermark_hours=24)).scenarios["homefeed"].look == 6


def test_a_fault_of_one_scenario_leaves_the_others_verdicts(tables):
    is_ads = pc.equal(tables.outcomes["scenario"], "ads")
    value = pc.if_else(is_ads, pa.scalar(None, pa.float64()), tables.outcomes["value"])
    broken = tables.outcomes.set_column(tables.outcomes.schema.get_field_index("value"), "value", value)
    result = result_of(tables._replace(outcomes=broken))
    assert verdicts(result) == {"homefeed": "hold", "search": "rollback", "ads": "invalid"}
    assert result.scenarios["ads"].rule == "faults"


def test_a_scenario_or_an_arm_without_rows_is_insufficient(tables):
    for column, name in (("scenario", "ads"), ("arm", "treatment")):
        exposures = tables.exposures.filter(
            (pc.field(column) != name) | ((pc.field("scenario") != "ads") if column == "arm" else False)
        )
        result = result_of(tables._replace(exposures=exposures))
        assert result.scenarios["ads"].verdict in {"insufficient", "invalid"}
        assert result.scenarios["search"].verdict == "rollback"


def test_too_few_users_or_events_are_insufficient():
    few = result_of(simulated(1, num_users=150)).scenarios["ads"]
    assert (few.verdict, "needs 100 users an arm" in few.reason) == ("insufficient", True)
    many = result_of(simulated(1), planned(min_events=100_000)).scenarios["ads"]
    assert many.verdict == "insufficient"


def test_users_who_do_not_differ_are_never_promoted():
    """The same clicks of every user: no variance, so nothing can be tested."""
    tables = simulated(1)
    first = pc.min(tables.outcomes["timestamp"])
    users = pc.unique(tables.exposures["user_id"])
    same = pa.table(
        {
            "user_id": users,
            "scenario": pa.repeat("ads", len(users)),
            "timestamp": pa.repeat(first, len(users)),
            "event": pa.repeat("impression", len(users)),
            "value": pa.repeat(1.0, len(users)),
            "event_id": users,
        }
    )
    decision = result_of(tables._replace(outcomes=same), planned(min_events=1)).scenarios["ads"]
    assert decision.verdict in {"insufficient", "hold"}


def test_a_planted_sample_ratio_mismatch_is_invalid():
    result = result_of(simulated(1, num_users=6000, effects={"ads": 0.3}, lost_treatment_share=0.2))
    assert set(verdicts(result).values()) == {"invalid"}
    assert "sample ratio mismatch" in result.scenarios["ads"].reason


def test_planned_uneven_weights_are_no_mismatch():
    uneven = planned(control=Arm(name="control", weight=0.8), treatment=Arm(name="treatment", weight=0.2))
    tables = simulated(1, uneven, num_users=1500)
    assert "invalid" not in verdicts(result_of(tables, uneven)).values()
    assert set(verdicts(result_of(tables)).values()) == {"invalid"}


def test_users_in_both_arms_are_invalid_above_the_plans_share(tables):
    moved = tables.exposures.slice(0, 600)
    other = pc.if_else(pc.equal(moved["arm"], "control"), "treatment", "control")
    moved = moved.set_column(moved.schema.get_field_index("arm"), "arm", other)
    ids = pc.binary_join_element_wise(moved["exposure_id"], "moved", "-")
    moved = moved.set_column(moved.schema.get_field_index("exposure_id"), "exposure_id", ids)
    mixed = tables._replace(exposures=pa.concat_tables([tables.exposures, moved]))
    assert result_of(mixed).scenarios["homefeed"].rule == "both_arms"
    allowed = result_of(mixed, planned(max_both_arms_share=0.2)).scenarios["homefeed"]
    assert allowed.verdict == "hold" and allowed.both_arms_share > 0.01


def test_the_levels_are_the_plans(tables):
    assert result_of(tables, planned(harm_alpha=1e-12)).scenarios["search"].verdict == "hold"
    assert result_of(tables, planned(alpha=1e-12)).scenarios["ads"].verdict == "hold"


def test_the_metrics_are_the_plans(tables):
    clicks_are_bad = planned(
        primary=Metric(event="impression"),
        guardrails=(Guardrail(event="click", per="impression", direction="down", margin=0.1),),
    )
    assert result_of(tables, clicks_are_bad).scenarios["ads"].verdict == "rollback"
