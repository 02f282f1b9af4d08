"""Materialize: build the feature store folder that serving opens, from a data folder.

The folder holds `feature_store.yaml`, `sources/` (per scenario one Parquet of users' histories and one of items'
statistics) and, unless the environment says otherwise (feature_repo.store), `registry.db` and `online.db`. It is
written under another name and renamed at the end, so a failure leaves nothing half-written.

A Redis is shared and keeps serving meanwhile, so users are updated in blocks. A block is read first, and only
histories that differ are written: the same call loads an empty store, adds a day to a full one, and resumes after a
kill. Up to its newest event the event table replaces what is stored; newer pushed events stay.
"""

import contextlib
import io
import logging
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend

from feature_repo.feast_isolation import isolated
from feature_repo.online import EVENT_COLUMNS, OnlineHistories, newest, stored_events
from feature_repo.store import open_store, write_config
from feature_repo.write_lock import writing
from redrec.atomic import replaced_folder
from redrec.data.histories import scenario_history
from redrec.data.split import read_vocabulary
from redrec.data.statistics import item_statistics
from redrec.data.tables import Engine, connect, read, write
from redrec.folders import DataFolder
from redrec.history import HistoryConfig
from redrec.model.boosts import MAX_COUNTED

logger = logging.getLogger(__name__)

MAX_EVENTS = MAX_COUNTED  # per scenario; more than enter the user tower, since older ones count as own and seen items
ROWS_PER_BLOCK = 10_000  # some 50 MB of histories


class Materialized(TypedDict):
    feature_hash: str
    users: int  # with at least one event
    written: int  # histories (of a user in a scenario) that the online store did not hold yet
    seconds: float
    newest_event: str  # ISO 8601, UTC
    age_s: int  # of the newest event, now: how fresh the store is


def kept_events(history: HistoryConfig) -> int:
    """Return how many of a user's newest events of a scenario are kept for a tower with these histories."""
    return max(MAX_EVENTS, history.max_of_one_scenario)


def materialize(data: Path, out: Path, max_events: int = MAX_EVENTS, engine: Engine = "duckdb") -> Materialized:
    """Write the histories and statistics of `data` to the online store, and the folder `out`.

    Raises:
        InputError: `data` lacks its event table.
        StoreUnavailableError: The online store does not answer; call again when it does.
    """
    started = time.monotonic()
    scenarios = list(read_vocabulary(data).scenarios)
    with replaced_folder(out) as folder, isolated():  # Feast's imports, 6 s, happen inside
        is_new = _define(folder, scenarios, max_events)
        online = OnlineHistories(folder)  # reads the store, so an error comes before any computation
        with TemporaryDirectory(dir=folder) as scratch:
            connection = connect(engine, Path(scratch))
            newest_at, users = _write_sources(connection, data, scenarios, folder, max_events)
        newest_ms = None if is_new else round(newest_at.timestamp() * 1000)
        written = [_load_histories(online, scenario, folder, newest_ms) for scenario in scenarios]
        for scenario in scenarios:
            _load_items(online, scenario, folder)
    return {
        "feature_hash": online.feature_hash,
        "users": users,
        "written": sum(written),
        "seconds": round(time.monotonic() - started, 3),
        "newest_event": newest_at.isoformat(),
        "age_s": round(time.time() - newest_at.timestamp()),
    }


def _define(folder: Path, scenarios: list[str], max_events: int) -> bool:
    """Register the definitions; return whether the online store is in the folder, and so still empty."""
    from feature_repo.definitions import entities, feature_hash, history_views, item_views, services

    write_config(folder, os.environ, feature_hash(scenarios))
    store = open_store(folder, os.environ, is_read_offline=True)
    histories, items = history_views(scenarios, max_events), item_views(scenarios)
    with contextlib.chdir(folder), _console_to_log():  # Feast looks for relative sources in the working directory
        store.apply([*entities(), *histories, *items, *services(histories, items)])
    return bool(store.config.online_store.type == "sqlite")


def _write_sources(
    connection: SQLBackend, data: Path, scenarios: list[str], folder: Path, max_events: int
) -> tuple[datetime, int]:
    """Write two Parquet files per scenario; return the time of the newest event and the number of users."""
    from feature_repo.definitions import SOURCES, item_source_path, source_path

    (folder / SOURCES).mkdir()
    events = read(connection, DataFolder(data).events, "events")
    users, newest_at = int(events.user_id.nunique().execute()), events.timestamp.max().execute().to_pydatetime()
    for scenario in scenarios:
        history = scenario_history(events, scenario, max_events)
        write(history.order_by("user_id"), folder / source_path(scenario))
        statistics = item_statistics(events, scenario, newest_at)
        write(statistics.order_by("item_id"), folder / item_source_path(scenario))
    return newest_at, users


def _load_histories(online: OnlineHistories, scenario: str, folder: Path, newest_ms: int | None) -> int:
    """Write all histories of the scenario or, with `newest_ms`, those that differ; return how many."""
    from feature_repo.definitions import source_path

    source = pq.ParquetFile(folder / source_path(scenario))
    read = written = 0
    for block in source.iter_batches(ROWS_PER_BLOCK):
        if newest_ms is None:
            online.write_rows(online.view_of_scenario[scenario], block.to_pandas())
            written += len(block)
        else:
            with writing(online):
                written += _update(online, scenario, block, newest_ms)
        read += len(block)
        logger.info("%s | %s of %s users | %s histories written", scenario, read, source.metadata.num_rows, written)
    return written


def _load_items(online: OnlineHistories, scenario: str, folder: Path) -> None:
    """Write the statistics of all items: every new event changes them."""
    from feature_repo.definitions import item_source_path, item_view_name

    for block in pq.ParquetFile(folder / item_source_path(scenario)).iter_batches(ROWS_PER_BLOCK):
        online.write_rows(item_view_name(scenario), block.to_pandas())


def _update(online: OnlineHistories, scenario: str, block: pa.RecordBatch, newest_ms: int) -> int:
    """Write the histories of the block that differ from the stored ones; return how many."""
    user_ids = block["user_id"].to_pylist()
    columns = [block[name].to_pylist() for name in EVENT_COLUMNS]
    logged = [stored_events(row) for row in zip(*columns, strict=True)]
    changed = {}
    for user_id, events, stored in zip(user_ids, logged, online.read_scenario(scenario, user_ids), strict=True):
        pushed = [event for event in stored if event.timestamp_ms > newest_ms]
        kept = newest(events + pushed, online.max_events)
        if kept != stored:
            changed[user_id] = kept
    online.write_scenario(scenario, changed)
    return len(changed)


@contextlib.contextmanager
def _console_to_log() -> Iterator[None]:
    """Log what Feast prints: standard output is for the caller's result."""
    console = io.StringIO()
    try:
        with contextlib.redirect_stdout(console), contextlib.redirect_stderr(console):
            yield
    finally:
        logger.debug("Feast: %s", console.getvalue())
