"""Writing and reading histories in the online stores, on SQLite and Redis, compared with Feast's defaults.

Ours is all of `materialize`, starting from the event table; then again, with no new events; then what a request reads,
with the service of all scenarios. Feast with its defaults (dask, SQLite, its own materialization in one batch, features
by name) gets the histories that ours built. Each is a process of its own. The users to read are drawn from all, with a
seed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.benchmarks.features.log import EVENTS_PER_USER, write_log
from tests.benchmarks.features.prepare import RESULTS
from tests.benchmarks.measure import ROOT, say, used
from tests.redis_server import free_port, start_redis, stop

READS = {1: 1000, 100: 100}  # users per request: number of requests
PLAIN = {
    "project": "plain",
    "provider": "local",
    "registry": "registry.db",
    "online_store": {"type": "sqlite", "path": "online.db"},
    "entity_key_serialization_version": 3,
}


def run(num_events: int, _repeats: int) -> dict[str, Any]:
    RESULTS.mkdir(exist_ok=True)
    port = free_port()
    result: dict[str, Any] = {}
    with TemporaryDirectory(dir=RESULTS) as scratch:
        _in_child("data", Path(scratch), num_events)
        redis = start_redis(port)
        try:
            for side, environment in (("sqlite", {}), ("redis", {"REDREC_REDIS": f"localhost:{port}"}), ("feast", {})):
                result[side] = _in_child(side, Path(scratch), num_events, **environment)
                say(f"{side} | {num_events:,} events | {result[side]}")
        finally:
            stop(redis)
    return result


def _in_child(side: str, folder: Path, num_events: int, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-m", __name__, side, str(folder), str(num_events)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, env=os.environ | environment)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _data(folder: Path, num_events: int) -> dict[str, Any]:
    from redrec.data.prepare import prepare

    write_log(folder / "log", num_events)
    prepare(folder / "log" / "events.parquet", folder / "log" / "items.parquet", folder / "data")
    return {}


def _ours(folder: Path, num_events: int) -> dict[str, Any]:
    import feature_repo.definitions  # noqa: F401 (Feast's imports take 6 s)
    from feature_repo.materialize import materialize
    from feature_repo.online import OnlineHistories

    first = used(lambda: materialize(folder / "data", folder / "features"))
    again = used(lambda: materialize(folder / "data", folder / "features"))
    online = OnlineHistories(folder / "features")
    return {**_rates(folder, first), "again": again, **_reads(online.read_many, num_events)}


def _feast(folder: Path, num_events: int) -> dict[str, Any]:
    import yaml

    from feature_repo.feast_isolation import isolated

    with isolated():
        from datetime import UTC, datetime

        from feast import FeatureStore

        from feature_repo.definitions import entities, history_views, item_views

        (folder / "features" / "feature_store.yaml").write_text(yaml.safe_dump(PLAIN))
        (folder / "features" / "registry.db").unlink(missing_ok=True)
        os.chdir(folder / "features")
        store = FeatureStore(repo_path=".")
        scenarios = ["homefeed", "search", "ads"]
        views = history_views(scenarios, 64)
        store.apply([*entities(), *views, *item_views(scenarios)])
        span = datetime(1970, 1, 1, tzinfo=UTC), datetime.now(UTC)
        rates = _rates(folder, used(lambda: store.materialize(*span)))
        names = []
        for view in views:
            names += [f"{view.name}:{field.name}" for field in view.features]

        def read(user_ids: list[str]) -> dict[str, Any]:
            rows = [{"user_id": user_id} for user_id in user_ids]
            return store.get_online_features(names, rows, full_feature_names=True).to_dict()

        return rates | _reads(read, num_events)


def _rates(folder: Path, materialize: dict[str, float]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    num_rows = sum(pq.ParquetFile(path).metadata.num_rows for path in folder.glob("features/sources/*.parquet"))
    return {"rows": num_rows, "materialize": materialize | {"rows_per_cpu_s": num_rows / materialize["cpu_s"]}}


def _reads(read: Callable[[list[str]], object], num_events: int) -> dict[str, dict[str, float]]:
    rng, num_users, latencies = np.random.default_rng(0), num_events // EVENTS_PER_USER, {}
    for size, num_requests in READS.items():
        requests = [_drawn_users(rng, num_users, size) for _ in range(num_requests)]
        for user_ids in requests[:10]:
            read(user_ids)
        cpu, walls = time.process_time(), list[float]()
        for user_ids in requests:
            start = time.perf_counter()
            read(user_ids)
            walls.append(1000 * (time.perf_counter() - start))
        p50, p99 = np.percentile(walls, [50, 99]).tolist()
        cpu_ms = 1000 * (time.process_time() - cpu) / num_requests
        latencies[f"read {size}"] = {"p50_ms": p50, "p99_ms": p99, "cpu_ms": cpu_ms}
    return latencies


def _drawn_users(rng: np.random.Generator, num_users: int, size: int) -> list[str]:
    return [f"u{user}" for user in rng.integers(0, num_users, size)]


if __name__ == "__main__":
    measure = {"data": _data, "sqlite": _ours, "redis": _ours, "feast": _feast}[sys.argv[1]]
    print(json.dumps(measure(Path(sys.argv[2]), int(sys.argv[3]))))
