"""History: the log of a time before an experiment, read as if the experiment had run then without any effect.

Its users are given arms as the plan would. So what the gate says of it is chance, and its metrics vary as those of the
experiment will. A user counts from their first event in a scenario on.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend

from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.tables import connect, read, write
from redrec.experiments.assignment import arms_of
from redrec.experiments.logs import read_log
from redrec.experiments.plan import Plan
from redrec.experiments.rows import ARM, EVENT, EVENT_ID, EXPERIMENT, EXPOSURE_ID, VALUE, Files
from redrec.experiments.sums import ExperimentLog


def moved(plan: Plan, outcomes: Path, connection: SQLBackend) -> Plan:
    """Return the plan for the last days of the log, whole ones if they suffice, with every user in it.

    Raises:
        InputError: The table is absent, cannot be read, or is shorter than the plan.
    """
    time = read(connection, outcomes, "outcomes")[c.TIMESTAMP].cast("timestamp('UTC')")
    bounds = time.as_table().aggregate(oldest=time.min(), newest=time.max()).to_pyarrow().to_pylist()[0]
    oldest, newest = bounds["oldest"], bounds["newest"]
    if oldest is None or _midnight(newest) - _midnight(oldest) < timedelta(days=plan.days - 1):
        raise InputError(
            f"{outcomes} has rows from {oldest} to {newest}; the plan has {plan.days} days. "
            "Give a longer log, or a plan with fewer days."
        )
    end = _midnight(newest)  # the last day may not be whole
    if end - _midnight(oldest) < timedelta(days=plan.days):
        end += timedelta(days=1)
    return plan.model_copy(update={"start": end - timedelta(days=plan.days), "coverage": 1.0, "namespace": None})


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def read_history(outcomes: Path, plan: Plan, effects: Mapping[str, float] | None = None, run: int = 0) -> ExperimentLog:
    """Return the sums of a past log under a plan that `moved` gave; each `run` gives the users other arms.

    `effects` are planted: by scenario, a relative change of the values of the primary's event under treatment.

    Raises:
        InputError: The table is absent, cannot be read, or lacks a column.
    """
    plan = plan.model_copy(update={"experiment": f"{plan.experiment}-{run}"})
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        connection = connect(scratch=scratch)
        table = read(connection, outcomes, "outcomes")
        exposures = scratch / "past_exposures.parquet"
        pq.write_table(_exposures(table, plan), exposures)
        if effects:
            outcomes = scratch / "past_outcomes.parquet"
            write(_with_effects(table, connection.read_parquet(exposures), plan, effects), outcomes)
        return read_log(connection, Files(exposures, outcomes), plan, scratch)


def _exposures(outcomes: ir.Table, plan: Plan) -> pa.Table:
    """Return one exposure per user, scenario and day, at the first event; a day without any would not be complete."""
    time = outcomes[c.TIMESTAMP].cast("timestamp('UTC')")
    since = outcomes.select(c.USER_ID, c.SCENARIO, timestamp=time).filter(time >= ibis.literal(plan.start))
    days = since.group_by([c.USER_ID, c.SCENARIO, since[c.TIMESTAMP].truncate("D").name("day")])
    first = days.aggregate(timestamp=since[c.TIMESTAMP].min()).drop("day").to_pyarrow()
    return pa.concat_tables(
        [_assigned(first.filter(pc.field(c.SCENARIO) == name), plan, name) for name in plan.scenarios]
    )


def _assigned(exposures: pa.Table, plan: Plan, scenario: str) -> pa.Table:
    user_ids = exposures[c.USER_ID].dictionary_encode().combine_chunks()
    arm_U = arms_of(plan, scenario, user_ids.dictionary.to_pylist())
    arms = pa.array([arm.name for arm in plan.arms], pa.string()).take(pa.array(arm_U).take(user_ids.indices))
    ids = pa.array([f"{scenario}-{number}" for number in range(len(exposures))], pa.string())
    named = pa.array([plan.experiment] * len(exposures), pa.string())
    return exposures.append_column(ARM, arms).append_column(EXPOSURE_ID, ids).append_column(EXPERIMENT, named)


def _with_effects(outcomes: ir.Table, exposed: ir.Table, plan: Plan, effects: Mapping[str, float]) -> ir.Table:
    joined = outcomes.inner_join(exposed.select(c.USER_ID, c.SCENARIO, ARM).distinct(), [c.USER_ID, c.SCENARIO])
    factor: ir.Value = ibis.literal(1.0)
    for scenario, effect in effects.items():
        is_changed = (joined[c.SCENARIO] == scenario) & (joined[ARM] == plan.treatment.name)
        factor = (is_changed & (joined[EVENT] == plan.primary.event)).ifelse(1 + effect, factor)
    changed = joined.mutate(value=joined[VALUE] * factor)
    return changed.select(EVENT_ID, c.USER_ID, c.SCENARIO, EVENT, VALUE, c.TIMESTAMP)
