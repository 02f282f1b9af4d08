"""Materialize: the data folder in, a feature store folder out that serving opens as it is.

The folder holds `feature_store.yaml`, `sources/` (one Parquet per scenario, one row per user), `registry.db` and
`online.db`. It is made beside its place and renamed at the end, so a failure leaves nothing half-written.
"""

import contextlib
import io
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import yaml

from feature_repo.contained import contained
from redrec.data.histories import scenario_history
from redrec.data.prepare import read_vocabulary
from redrec.data.tables import connect, read
from redrec.staging import staged

logger = logging.getLogger(__name__)

MAX_EVENTS = 64  # per scenario; above the default quota of the user tower, so that seen items are known further back


def materialize(data: Path, out: Path, max_events: int = MAX_EVENTS) -> dict[str, str | int | float]:
    """Write the histories of every user and scenario in `data` into the feature store folder `out`.

    Returns feature_hash, users (with at least one event), seconds, newest_event (ISO 8601, UTC).
    Feast resolves relative sources against the working directory, so that is changed meanwhile: one call
    at a time in a process.

    Raises:
        InputError: `data` lacks its event table, or two scenarios share one feature view name.
    """
    started = time.monotonic()
    scenarios = list(read_vocabulary(data).scenarios)
    with staged(out) as folder, contained():  # Feast's imports, 6 s, happen inside
        newest, users = _write_sources(data, scenarios, folder, max_events)
        feature_hash = _fill_store(folder, scenarios, max_events, newest)
    return {
        "feature_hash": feature_hash,
        "users": users,
        "seconds": round(time.monotonic() - started, 3),
        "newest_event": newest.isoformat(),
    }


def _write_sources(data: Path, scenarios: list[str], folder: Path, max_events: int) -> tuple[datetime, int]:
    """Write one Parquet per scenario; return the time of the newest event and the number of users."""
    from feature_repo.definitions import source_path

    (folder / "sources").mkdir()
    connection = connect()
    events = read(connection, data / "events.parquet", "events")
    for scenario in scenarios:
        history = scenario_history(events, scenario, max_events)
        history.order_by("user_id").to_parquet(folder / source_path(scenario))
    users, newest = int(events.user_id.nunique().execute()), events.timestamp.max().execute()
    connection.disconnect()
    return newest.to_pydatetime(), users


def _fill_store(folder: Path, scenarios: list[str], max_events: int, newest: datetime) -> str:
    """Register the views and write the online store; return the feature hash."""
    from feast import FeatureStore

    from feature_repo.definitions import STORE, feature_hash, history_service, history_views, user_entity

    (folder / "feature_store.yaml").write_text(yaml.safe_dump(STORE, sort_keys=False), encoding="utf-8")
    views = history_views(scenarios, max_events)
    with contextlib.chdir(folder), _console_to_log():
        store = FeatureStore(repo_path=".")
        store.apply([user_entity(), *views, history_service(views)])
        store.materialize(datetime(1970, 1, 1, tzinfo=UTC), newest + timedelta(seconds=1))
        ibis.get_backend().disconnect()  # Feast reads through Ibis's default session and leaves it open
        ibis.options.default_backend = None
    return feature_hash(scenarios)


@contextlib.contextmanager
def _console_to_log() -> Iterator[None]:
    """Feast prints and draws bars; standard output belongs to the caller's result."""
    console = io.StringIO()
    try:
        with contextlib.redirect_stdout(console), contextlib.redirect_stderr(console):
            yield
    finally:
        logger.debug("Feast: %s", console.getvalue())
