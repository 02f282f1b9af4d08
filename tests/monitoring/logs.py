"""Logs of two scenarios, and verdicts written by hand; the texts of one scenario are hostile."""

from datetime import UTC, datetime

import ibis
import numpy as np
import pyarrow as pa

from redrec.drift.logs import Logs
from redrec.drift.verdicts import ColumnDrift, Drift, ScenarioDrift

HOSTILE = "</script><img src=x onerror=window.ran=1>"
NAMES = ("ads", f"search{HOSTILE}")
TIME = datetime(2026, 1, 19, tzinfo=UTC)
WINDOWS = {
    "reference": ("2026-01-05T00:00:00", "2026-01-12T00:00:00"),
    "current": ("2026-01-12T00:00:00", "2026-01-19T00:00:00"),
}


def events(seed: int, num_users: int = 60, shift: float = 0.0, **columns: object) -> pa.Table:
    """Ten events a user in each scenario, with a score, a column that nobody would name so, and a category."""
    rng = np.random.default_rng(seed)
    num = num_users * 10 * len(NAMES)
    table = {
        "user_id": [f"u{number % num_users}" for number in range(num)],
        "item_id": [f"i{number}" for number in rng.integers(0, 50, num)],
        "scenario": [NAMES[number // num_users % len(NAMES)] for number in range(num)],
        "score": rng.normal(shift, 1, num),
        f"weight{HOSTILE}": rng.exponential(1, num),
        "category": rng.choice(["travel", "cooking", HOSTILE], num, p=[0.5, 0.3, 0.2]).tolist(),
    }
    return pa.table(table | {name: [value] * num for name, value in columns.items()})


def logs_of(reference: pa.Table, current: pa.Table) -> Logs:
    columns = {}
    for field in reference.schema:
        if field.name not in ("user_id", "item_id", "scenario"):
            columns[field.name] = "numeric" if pa.types.is_floating(field.type) else "categorical"
    tables = (ibis.memtable(reference), ibis.memtable(current))
    return Logs(*tables, columns)


def drift_of(*scenarios: ScenarioDrift) -> Drift:
    return Drift(windows=WINDOWS, scenarios=dict(zip(NAMES, scenarios, strict=True)))


def drifted(num_users: int = 60, effect: float = 0.21) -> ScenarioDrift:
    change = ColumnDrift(
        test="permutation",
        p=0.001,
        p_adjusted=0.006,
        effect=effect,
        floor=0.03,
        verdict="drift",
        what=f"more {HOSTILE}",
    )
    same = ColumnDrift(
        test="permutation", p=0.4, p_adjusted=0.9, effect=0.004, floor=0.03, verdict="stable", what="no change"
    )
    columns = {"category": same, f"weight{HOSTILE}": same, "score": change}
    return ScenarioDrift(
        verdict="drift",
        action="watch",
        reason=f"score: more {HOSTILE}",
        users={"reference": 60, "current": num_users},
        events=_both(600),
        columns=columns,
    )


def insufficient() -> ScenarioDrift:
    reason = "60 users in a window, fewer than 100"
    counts = {"users": _both(60), "events": _both(600)}
    return ScenarioDrift(verdict="insufficient", action="wait", reason=reason, columns={}, **counts)


def _both(num: int) -> dict:
    return {"reference": num, "current": num}
