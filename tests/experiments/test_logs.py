"""Logs: sums of every day against those of the users' rows, and what makes a table faulty."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from redrec.config import InputError
from redrec.data.tables import connect
from redrec.experiments.logs import read_log
from redrec.experiments.plan import Plan
from redrec.experiments.rows import Files
from redrec.experiments.simulation import SimulatedTables
from redrec.experiments.sums import ALL_SCENARIOS, ExperimentLog
from tests.experiments.logs import START, planned, simulated, written
from tests.spark import on_spark

NUM_USERS = 300


def logged(tables: SimulatedTables, plan: Plan | None = None, engine="duckdb") -> ExperimentLog:
    with TemporaryDirectory() as scratch:
        paths = written(tables, Path(scratch))
        return read_log(connect(engine), Files(*paths), plan or planned(), Path(scratch))


@pytest.fixture(scope="module")
def tables() -> SimulatedTables:
    return simulated(1, num_users=NUM_USERS)


def users_after(tables: SimulatedTables, plan: Plan, scenario: str | None, day: int) -> pd.DataFrame:
    """Return each exposed user's arm and sums up to the end of a day, the plain way."""
    exposures, outcomes = (table.to_pandas() for table in tables)
    if scenario is not None:
        exposures, outcomes = (table[table.scenario == scenario] for table in (exposures, outcomes))
    end = plan.start + timedelta(days=day)
    by_user = exposures[exposures.timestamp < end].groupby("user_id")
    users = by_user.agg(arm=("arm", "first"), first=("timestamp", "min"))
    joined = outcomes.join(users, on="user_id", how="inner")
    counted = joined[(joined.timestamp >= joined["first"]) & (joined.timestamp < end)]
    sums = counted.pivot_table(index="user_id", columns="event", values="value", aggfunc="sum")
    return users.join(sums).fillna(dict.fromkeys(plan.events, 0))


@pytest.mark.parametrize(
    ("applies", "scenario", "of_log"), [("per_scenario", "ads", "ads"), ("shared", None, ALL_SCENARIOS)]
)
def test_sums_of_each_day_are_those_of_the_users_rows(tables, applies, scenario, of_log):
    plan = planned(applies=applies)
    tables = tables if applies == "per_scenario" else simulated(1, plan, num_users=NUM_USERS)
    log = logged(tables, plan)
    sums = log.scenarios[of_log].sums
    for day in (1, 3, 7):
        users = users_after(tables, plan, scenario, day)
        for arm, name in enumerate(("control", "treatment")):
            value_UE = users[users.arm == name][list(plan.events)].to_numpy()
            assert sums.num_users_AD[arm, day - 1] == len(value_UE)
            assert sums.total_ADE[arm, day - 1] == pytest.approx(value_UE.sum(0))
            assert sums.product_ADEE[arm, day - 1] == pytest.approx(value_UE.T @ value_UE)
    totals = log.scenarios[of_log].users.until(3)
    users = users_after(tables, plan, scenario, 3)
    assert sorted(totals.total_UE[totals.arm_U == 1].sum(1)) == sorted(
        users[users.arm == "treatment"][list(plan.events)].to_numpy().sum(1)
    )


def test_covariates_are_what_users_did_in_the_days_before_the_start(tables):
    """They grow with the users, and are known on the day of their first exposure."""
    plan = planned(start=START + timedelta(days=3), days=4, covariate_days=2)
    log = logged(tables, plan)
    assert log.columns[-2:] == ("click before", "impression before")
    outcomes = tables.outcomes.to_pandas()
    is_before = (outcomes.timestamp < plan.start) & (outcomes.timestamp >= plan.start - timedelta(days=2))
    before = outcomes[is_before & (outcomes.scenario == "ads")]
    clicks_of_user = before[before.event == "click"].groupby("user_id").value.sum()
    exposures = tables.exposures.to_pandas()
    for day in (1, 4):
        is_until = (exposures.timestamp >= plan.start) & (exposures.timestamp < plan.start + timedelta(days=day))
        exposed = exposures[is_until & (exposures.scenario == "ads")].drop_duplicates("user_id")
        clicks = clicks_of_user.reindex(exposed.user_id).fillna(0).to_numpy()
        sums = log.scenarios["ads"].sums
        at = log.columns.index("click before")
        for arm, name in enumerate(("control", "treatment")):
            own = clicks[(exposed.arm == name).to_numpy()]
            assert sums.total_ADE[arm, day - 1, at] == pytest.approx(own.sum())
            assert sums.product_ADEE[arm, day - 1, at, at] == pytest.approx((own**2).sum())
        users = log.scenarios["ads"].users.until(day)
        assert users.total_UE[:, at].sum() == pytest.approx(clicks.sum())


@on_spark
@pytest.mark.parametrize(
    "changes", [{}, {"applies": "shared"}, {"start": START + timedelta(days=2), "days": 4, "covariate_days": 2}]
)
def test_spark_gives_the_same_sums(changes):
    plan = planned(**changes)
    tables = simulated(1, plan, num_users=100)
    ours, theirs = (logged(tables, plan, engine).scenarios for engine in ("duckdb", "spark"))
    for name, scenario in ours.items():
        assert (scenario.num_users, scenario.faults) == (theirs[name].num_users, theirs[name].faults)
        for one, other in zip(scenario.sums, theirs[name].sums, strict=True):
            assert one == pytest.approx(other)


def test_duplicates_and_rows_of_others_change_nothing(tables):
    other = tables.exposures.set_column(
        tables.exposures.schema.get_field_index("experiment"), "experiment", pa.repeat("other", len(tables.exposures))
    )
    twice = SimulatedTables(
        pa.concat_tables([tables.exposures, tables.exposures.slice(0, 50), other]),
        pa.concat_tables([tables.outcomes, tables.outcomes.slice(0, 50)]),
    )
    first, second = logged(tables), logged(twice)
    for name, scenario in first.scenarios.items():
        assert second.scenarios[name].faults == ()
        for ours, theirs in zip(scenario.sums, second.scenarios[name].sums, strict=True):
            assert np.array_equal(ours, theirs)


def with_column(table: pa.Table, name: str, values: list, rows: slice) -> pa.Table:
    changed = table[name].to_pylist()
    changed[rows] = values
    return table.set_column(table.schema.get_field_index(name), name, pa.array(changed, table.schema.field(name).type))


def of_ads(table: pa.Table) -> pa.Table:
    return table.filter(pc.field("scenario") == "ads")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_value_that_is_no_finite_number_is_a_fault_of_its_scenario(tables, value):
    ads = with_column(of_ads(tables.outcomes), "value", [value], slice(0, 1))
    rest = tables.outcomes.filter(pc.field("scenario") != "ads")
    scenarios = logged(tables._replace(outcomes=pa.concat_tables([ads, rest]))).scenarios
    (fault,) = scenarios["ads"].faults
    assert "outcomes of impression among which are values that are no finite numbers" in fault
    assert scenarios["search"].faults == ()


def test_an_id_with_two_contents_is_a_fault(tables):
    ads = of_ads(tables.exposures)
    conflicting = with_column(ads.slice(0, 2), "user_id", ["u1-9", "u1-9"], slice(0, 2))
    scenarios = logged(tables._replace(exposures=pa.concat_tables([tables.exposures, conflicting]))).scenarios
    assert "exposures with the exposure_id of another" in scenarios["ads"].faults[0]


def test_an_arm_that_the_plan_does_not_name_is_a_fault(tables):
    exposures = with_column(of_ads(tables.exposures), "arm", ["third", None], slice(0, 2))
    assert logged(tables._replace(exposures=exposures)).scenarios["ads"].faults == (
        "2 exposures of an arm other than control and treatment",
    )


def test_users_in_both_arms_are_counted_and_left_out(tables):
    ads = of_ads(tables.exposures)
    moved = with_column(
        ads.slice(0, 1), "arm", ["treatment" if ads["arm"][0].as_py() == "control" else "control"], slice(0, 1)
    )
    moved = with_column(moved, "exposure_id", ["moved"], slice(0, 1))
    log = logged(tables._replace(exposures=pa.concat_tables([ads, moved]))).scenarios["ads"]
    assert log.num_in_both_arms == 1
    assert log.sums.num_users_AD[:, -1].sum() == log.num_users - 1


def test_a_shared_arm_that_differs_between_scenarios_is_in_both():
    """Seeds per scenario, read as if the arm were shared: half of the users have two arms."""
    log = logged(simulated(1, planned(), num_users=NUM_USERS), planned(applies="shared"))
    share = log.scenarios["ads"].num_in_both_arms / log.scenarios["ads"].num_users
    assert 0.6 < share < 0.9


def test_outcomes_before_the_exposure_and_after_the_attribution_do_not_count(tables):
    everything = logged(tables).scenarios["ads"].sums.total_ADE[:, -1].sum()
    a_day = logged(tables, planned(attribution_hours=24)).scenarios["ads"].sums.total_ADE[:, -1].sum()
    assert 0 < a_day < 0.5 * everything
    late = tables.exposures.filter(pc.field("timestamp") > planned().start + timedelta(days=6))
    assert logged(tables._replace(exposures=late)).scenarios["ads"].sums.total_ADE[:, -1].sum() < 0.5 * everything


def test_a_table_that_is_absent_or_lacks_a_column_is_refused(tables, tmp_path):
    exposures, outcomes = written(tables._replace(outcomes=tables.outcomes.drop_columns("value")), tmp_path)
    with pytest.raises(InputError, match="The outcomes have no column value; they have"):
        read_log(connect(), Files(exposures, outcomes), planned(), tmp_path)
    with pytest.raises(InputError, match=r"exposures: .*nosuch\.parquet does not exist"):
        read_log(connect(), Files(tmp_path / "nosuch.parquet", outcomes), planned(), tmp_path)


def test_a_scenario_without_rows_has_no_users(tables):
    without = SimulatedTables(*(table.filter(pc.field("scenario") != "ads") for table in tables))
    assert logged(without).scenarios["ads"].num_users == 0
