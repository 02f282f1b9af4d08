"""From a push to the answer that knows it: a server with histories on SQLite, then on Redis, a query after each push.

A query leaves out what the user has seen. Its best item is pushed as seen, then it is queried again until the item is gone.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from redis import Redis

from redrec.config import InputError
from tests.benchmarks.measure import ROOT, say
from tests.redis_server import free_port, start_redis, stop

NUM_PUSHES = 20
SCENARIO = "ads"


def run(_num_events: int, _repeats: int) -> dict[str, Any]:
    found = {"sqlite": _measure()}
    port = free_port()
    os.environ["REDREC_REDIS"] = f"localhost:{port}"
    redis = start_redis(port)
    try:
        found["redis"] = _measure()
        found["redis"]["keys"] = Redis(port=port).dbsize()
    finally:
        stop(redis)
    return found


def _measure() -> dict[str, Any]:
    from feature_repo.push import Pusher
    from tests.bundles import tiny_run

    with TemporaryDirectory() as scratch:
        folder, port = Path(scratch), free_port()
        bundle = tiny_run(folder)
        words = ["--bundle", str(bundle.path), "--features", str(folder / "features"), "--http_port", str(port)]
        server = subprocess.Popen([sys.executable, "-m", "serving", *words], cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            url, pusher = f"http://127.0.0.1:{port}", Pusher(folder / "features", bundle.item_index)
            _wait(url)
            seconds = [
                _seconds_until_known(url, pusher, f"user-{n}", bundle.vocabulary.actions[0]) for n in range(NUM_PUSHES)
            ]
        finally:
            stop(server)
    p50, most = np.percentile(seconds, [50, 100]).tolist()
    say(f"{pusher.histories.store_name.split()[0]} | {NUM_PUSHES} pushes | p50 {p50:.3f} s | at most {most:.3f} s")
    return {"pushes": NUM_PUSHES, "p50_s": p50, "max_s": most}


def _seconds_until_known(url: str, pusher: Any, user_id: str, action: str) -> float:
    from feature_repo.push import PushedEvent
    from serving.client import query

    def ask() -> list[str]:
        return [item["item_id"] for item in query(url, user_id, SCENARIO, 4, exclude_seen=True)["items"]]

    seen, start = ask()[0], time.perf_counter()
    found = pusher.push([PushedEvent(user_id, seen, SCENARIO, action, time.time_ns() // 1_000_000)])
    assert found.added == 1, found
    while seen in ask():
        pass
    return time.perf_counter() - start


def _wait(url: str) -> None:
    from serving.client import query

    for _ in range(600):
        try:
            query(url, "user-0", SCENARIO)
            return
        except InputError:
            time.sleep(0.2)
    raise TimeoutError(f"{url} does not answer")
