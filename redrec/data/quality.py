"""Quality: what was seen in the two tables, how many rows are left out and why, and when that is too much."""

from typing import Any

import ibis
import ibis.expr.types as ir

from redrec.config import InputError, Record
from redrec.data.arrays import Tally
from redrec.data.checks import REASON
from redrec.data.findings import Finding
from redrec.data.inputs import Input
from redrec.data.times import TimeFormat

NUM_EXAMPLES = 3


class BadRowsError(InputError):
    """Too many rows of a table are bad; `quality` has its counts and examples."""

    def __init__(self, message: str, name: str, quality: "TableQuality") -> None:
        super().__init__(message)
        self.name, self.quality = name, quality


class TableQuality(Record):
    """Counts of one table's rows; `examples` are quarantined rows as they came, by reason."""

    mapping: str
    used: tuple[str, ...]  # columns
    ignored: tuple[str, ...]
    notices: tuple[str, ...]  # what was changed in all rows, and how times of items are read
    rows: int
    kept: int
    quarantined: dict[str, int]
    examples: dict[str, tuple[str, ...]]


class ScenarioQuality(Record):
    events: int
    users: int
    items: int
    first_ms: int  # the time of its first event
    last_ms: int


class DataQuality(Record):
    events: TableQuality
    items: TableQuality
    times: TimeFormat
    scenarios: dict[str, ScenarioQuality]
    users_with_one_event: int  # kept: they can be served and evaluated, but give no training target
    findings: tuple[Finding, ...]


def table_quality(rows: int, bad: ir.Table, source: Input) -> TableQuality:
    """Return the counts of a table of so many rows, of which `bad` has reason and row of those left out."""
    position = ibis.row_number().over(group_by=REASON, order_by=bad.row)
    counted = bad.mutate(position=position, num=bad.count().over(group_by=REASON))
    first = counted.filter(counted.position < NUM_EXAMPLES).order_by(REASON, "position")
    examples = first.select(REASON, "row", "num").to_pyarrow().to_pylist()
    quarantined = {row[REASON]: row["num"] for row in examples}
    return TableQuality(
        mapping=source.mapping,
        used=source.used,
        ignored=source.ignored,
        notices=source.notices,
        rows=rows,
        kept=rows - sum(quarantined.values()),
        quarantined=quarantined,
        examples={reason: _rows_with(reason, examples) for reason in quarantined},
    )


def _rows_with(reason: str, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(row["row"] for row in rows if row[REASON] == reason)


def require_enough(quality: TableQuality, name: str, max_share: float) -> None:
    """Raise InputError if a table has no rows, or too many bad ones."""
    if quality.rows == 0:
        raise InputError(f"{name}: the table has a header and no rows. Give at least one row.")
    num_bad = quality.rows - quality.kept
    if quality.kept == 0 or num_bad > max_share * quality.rows:
        reasons = "; ".join(
            f"{count:,} x {reason} (such as: {quality.examples[reason][0]})"
            for reason, count in quality.quarantined.items()
        )
        noticed = f" Notice: {'; '.join(quality.notices)}." if quality.notices else ""
        raise BadRowsError(
            f"{name}: {num_bad:,} of {quality.rows:,} rows are bad, allowed is a share of {max_share}: {reasons}."
            f"{noticed} Correct the table, or raise data.max_quarantined_share in the recipe.",
            name,
            quality,
        )


def scenario_qualities(tally: Tally, configured: tuple[str, ...] | None) -> dict[str, ScenarioQuality]:
    """Return the counts of each scenario, in the configured order, else the most frequent first.

    Raises:
        InputError: A configured scenario has no events.
    """
    fields = (tally.events_S, tally.users_S, tally.items_S, tally.first_ms_S, tally.last_ms_S)
    counts = [dict(zip(ScenarioQuality.model_fields, values, strict=True)) for values in zip(*fields, strict=True)]
    qualities = {
        name: ScenarioQuality(**of_scenario) for name, of_scenario in zip(tally.scenarios, counts, strict=True)
    }
    seen = dict(sorted(qualities.items(), key=lambda item: (-item[1].events, item[0])))
    empty = [name for name in configured or () if name not in seen]
    if empty:
        raise InputError(
            f"events: scenario {', '.join(empty)} is configured and has no events; seen: {', '.join(seen)}. "
            "Remove it from data.scenarios, or add its events."
        )
    return {name: seen[name] for name in configured or seen}
