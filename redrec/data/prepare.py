"""Prepare: write the data folder that every later step reads, from an event log and an item table.

The contract with the user. `events`: user_id, item_id, scenario, action (strings), timestamp (UTC; a time, or
a number since 1970, see `redrec.data.times`), one row per interaction. `items`: item_id, title; optional body, tags
(list), category, image (a path or file:// URI), scenarios (list: where the item may be shown; absent = in all),
available_from and available_until (times of the same types: when the item may be shown, the first included, the last
not; absent = always, for ever). A window is for serving alone: histories, training and evaluation take every event,
and evaluation ranks all items whenever they were available.

The folder holds `events.parquet`, `items.parquet` (row = item index), `quarantine.parquet`, `histories/`,
`split.json` and `data_quality.json`. It is written under another name and renamed at the end.
"""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import ibis.expr.types as ir
from ibis.backends.sql import SQLBackend
from pydantic import Field, field_validator

from redrec.atomic import replaced_folder
from redrec.config import Config
from redrec.data import columns as c
from redrec.data import validity
from redrec.data.arrays import HistoryArrays, Tally, TieOrder
from redrec.data.checks import (
    REASON,
    checked_events,
    checked_items,
    repeated_events,
    sorted_events,
    typed_events,
    typed_items,
    window_formats,
)
from redrec.data.event_writer import EventCounts, EventFiles, write_events
from redrec.data.findings import Finding, LimitsConfig, findings_of, item_findings
from redrec.data.histories import USERS
from redrec.data.inputs import ColumnChoices, Input, check_columns, read_input
from redrec.data.items import id_ranks
from redrec.data.quality import (
    NUM_EXAMPLES,
    DataQuality,
    ScenarioQuality,
    TableQuality,
    require_enough,
    scenario_qualities,
    table_quality,
)
from redrec.data.sources import Source
from redrec.data.split import SplitPolicy, SplitRule
from redrec.data.tables import Engine, batches, connect, num_rows, write
from redrec.data.times import UTC_TIME, time_format
from redrec.folders import DataFolder, write_json


class DataConfig(Config):
    engine: Engine = "duckdb"  # or spark, if the log is too large for one machine
    columns: dict[str, str] = Field(default_factory=dict)  # their name of a column: ours, in the tables that have it
    constants: dict[str, str] = Field(default_factory=dict)  # scenario or action, of events without such a column
    scenarios: tuple[str, ...] | None = None  # absent: all scenarios of the events, the most frequent first
    split: SplitPolicy = "global_time"
    test_share: float = Field(default=0.1, gt=0, lt=1)  # of all events, the newest
    has_validation: bool = True  # hold out a split, to fit boosts and stop early; see redrec.data.histories
    max_quarantined_share: float = Field(default=0.05, ge=0, le=1)
    limits: LimitsConfig = LimitsConfig()

    @field_validator("columns")
    @classmethod
    def known_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        allowed = dict.fromkeys((*c.EVENT_COLUMNS, *c.ITEM_COLUMNS))
        for theirs, ours in columns.items():
            if ours not in allowed:
                raise ValueError(f"{theirs}={ours}: {ours} is none of our columns, which are {', '.join(allowed)}")
        return columns

    @field_validator("constants")
    @classmethod
    def constant_columns(cls, constants: dict[str, str]) -> dict[str, str]:
        unknown = [column for column in constants if column not in (c.SCENARIO, c.ACTION)]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} cannot be constant; allowed are {c.SCENARIO}, {c.ACTION}")
        return constants

    @property
    def choices(self) -> ColumnChoices:
        return ColumnChoices(self.columns, self.constants)


DEFAULTS = DataConfig()


def prepare(events: Source, items: Source, out: Path, config: DataConfig = DEFAULTS) -> DataQuality:
    """Check both tables, write the data folder `out`, and return the data quality report.

    A table is a path, a URL or a data frame, see `redrec.data.sources`.

    Raises:
        InputError: A file or column is missing, too many rows are bad, or a configured scenario is empty.
    """
    with replaced_folder(out) as folder, TemporaryDirectory(dir=folder) as scratch:
        connection = connect(config.engine, Path(scratch))
        return _prepare(connection, events, items, folder, Path(scratch), config)


def check_sources(events: str | Path, items: str | Path, config: DataConfig) -> None:
    """Raise InputError if a table cannot be read or its columns are of no known schema; takes no more than a look.

    Spark, which takes half a minute to start, and what has to be copied first are left to `prepare`.
    """
    if config.engine != "duckdb" or any("://" in str(source) for source in (events, items)):
        return
    with TemporaryDirectory() as scratch:
        connection = connect(config.engine, Path(scratch))
        item_source = read_input(connection, items, "items", config.choices, Path(scratch))
        event_source = read_input(connection, events, "events", config.choices, Path(scratch))
        check_columns(config.columns, (event_source, item_source))


def _prepare(
    connection: SQLBackend, events: Source, items: Source, out: Path, scratch: Path, config: DataConfig
) -> DataQuality:
    item_source = read_input(connection, items, "items", config.choices, scratch)
    event_source = read_input(connection, events, "events", config.choices, scratch)
    check_columns(config.columns, (event_source, item_source))
    times = time_format(event_source.table)
    typed = event_source._replace(table=typed_events(event_source.table, times.unit))
    catalog, bad_items, item_quality = checked_catalog(connection, item_source, scratch, config)
    arrays, bad_events, event_quality = _write_good_events(connection, typed, catalog, out, scratch, config)

    tally = arrays.tally(item_quality.kept)
    scenarios = scenario_qualities(tally, config.scenarios)
    split = _split(arrays, tuple(scenarios), config)
    arrays.finish(split)
    write_items(catalog, split.scenarios, DataFolder(out).items)
    _write_quarantine(bad_events, bad_items, out)
    split.write(out)
    tie_order = arrays.tie_order(id_ranks(DataFolder(out).items))
    quality = DataQuality(
        events=event_quality,
        items=item_quality,
        times=times,
        scenarios=scenarios,
        users_with_one_event=tally.one_event_users,
        findings=(
            *item_findings(DataFolder(out).items, DataFolder(out).histories / USERS, split.scenarios),
            *_findings(tally, tie_order, scenarios, catalog, item_quality.kept, config.limits),
        ),
    )
    write_json(DataFolder(out).quality, quality.model_dump())
    return quality


def checked_catalog(
    connection: SQLBackend, source: Input, scratch: Path, config: DataConfig
) -> tuple[ir.Table, ir.Table, TableQuality]:
    """Return the good items, reason and row of the bad ones, and the counts of both."""
    formats = window_formats(source.table)
    noticed = tuple(f"{name}: {times.what}" for name, times in formats.items())
    source = source._replace(notices=(*source.notices, *noticed))
    checked = _stored(connection, checked_items(typed_items(source.table, formats)), scratch / "items.parquet")
    bad = checked.filter(checked[REASON].notnull()).select(REASON, "row")
    quality = table_quality(num_rows(checked), bad, source)
    require_enough(quality, "items", config.max_quarantined_share)
    return checked.filter(checked[REASON].isnull()).drop(REASON, "row"), bad, quality


def _write_good_events(
    connection: SQLBackend, typed: Input, catalog: ir.Table, out: Path, scratch: Path, config: DataConfig
) -> tuple[HistoryArrays, ir.Table, TableQuality]:
    """Write the good events, sorted; return their arrays, reason and row of the bad ones, and the counts of both."""
    checked = checked_events(typed.table, _indexed(catalog), config.scenarios, datetime.now(UTC))
    folder = DataFolder(out)
    arrays = HistoryArrays(folder.histories)
    files = EventFiles(folder.events, scratch / "bad.parquet", scratch / "repeats.parquet")
    counts = write_events(batches(sorted_events(checked), scratch), files, arrays)
    bad = _bad_events(connection, typed.table, files, counts, scratch)
    quality = table_quality(counts.rows, bad, typed)
    if validity.UNKNOWN_ITEM in quality.quarantined:
        quality = quality.model_copy(update={"notices": (*quality.notices, _known_ids(catalog))})
    require_enough(quality, "events", config.max_quarantined_share)
    return arrays, bad, quality


def _known_ids(catalog: ir.Table) -> str:
    ids = catalog.order_by(c.ITEM_ID).limit(NUM_EXAMPLES)[c.ITEM_ID].to_pyarrow().to_pylist()
    return f"item_id in the item table is such as {', '.join(ids)}"


def _stored(connection: SQLBackend, table: ir.Table, path: Path) -> ir.Table:
    """Write `table` to a file, so that the source is parsed once and memory stays bounded."""
    write(table, path)
    return connection.read_parquet(path)


def _indexed(items: ir.Table) -> ir.Table:
    """Return (item_id, item_index): the row of an item in items.parquet."""
    index = ibis.row_number().over(order_by=items[c.ITEM_ID]).cast("int32")
    return items.select(c.ITEM_ID, item_index=index)


def _bad_events(
    connection: SQLBackend, typed: ir.Table, files: EventFiles, counts: EventCounts, scratch: Path
) -> ir.Table:
    """Return reason and row of the events left out; the rows of repeats are looked up in the source."""
    bad = connection.read_parquet(files.bad)
    if not counts.repeats:
        return bad
    repeated = repeated_events(typed, connection.read_parquet(files.repeats))
    return ibis.union(bad, _stored(connection, repeated, scratch / "repeated.parquet"))


def _findings(
    tally: Tally,
    tie_order: TieOrder,
    scenarios: dict[str, ScenarioQuality],
    items: ir.Table,
    num_items: int,
    limits: LimitsConfig,
) -> tuple[Finding, ...]:
    events_of_scenario = {name: quality.events for name, quality in scenarios.items()}
    num_untitled = num_rows(items.filter(items[c.TITLE].fill_null("") == ""))
    return findings_of(tally, tie_order, events_of_scenario, num_items, num_untitled, limits)


def write_items(items: ir.Table, scenarios: tuple[str, ...], path: Path) -> None:
    """Write the catalog in index order."""
    all_scenarios = ibis.array(list(scenarios))
    windows = {name: items[name].cast(UTC_TIME) for name in c.WINDOW_COLUMNS}
    filled = items.mutate(**{c.SCENARIOS: ibis.coalesce(items[c.SCENARIOS], all_scenarios)}, **windows)
    write(filled.order_by(c.ITEM_ID).select(*c.ITEM_COLUMNS), path)


def _split(arrays: HistoryArrays, scenarios: tuple[str, ...], config: DataConfig) -> SplitRule:
    """Return the split; the newest `test_share` of the events are test, the newest of the rest validation."""
    share = 1 - config.test_share
    test_start_s = arrays.quantile_s(share)
    validation_start_s = arrays.quantile_s(share**2) if config.has_validation else test_start_s
    return SplitRule(
        scenarios=scenarios,
        actions=tuple(sorted(arrays.numbers[c.ACTION])),
        policy=config.split,
        has_validation=config.has_validation,
        validation_start_ms=validation_start_s * 1000,
        test_start_ms=test_start_s * 1000,
    )


def _write_quarantine(events: ir.Table, items: ir.Table, out: Path) -> None:
    tables = [bad.mutate(table=ibis.literal(name)) for name, bad in (("events", events), ("items", items))]
    write(ibis.union(*tables).order_by("table", REASON, "row"), DataFolder(out).quarantine)
