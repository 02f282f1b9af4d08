"""From a push to the first response that reflects it: a server with histories on SQLite, then on Redis.

A request excludes the items that the user has seen. Its best item is pushed as seen, then the request is repeated until
that item is gone.
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

from tests.benchmarks.measure import ROOT, say
from tests.redis_server import free_port, start_redis, stop

NUM_PUSHES = 20
SCENARIO = "ads"


def run(_num_events: int, _repeats: int) -> dict[str, Any]:
    result = {"sqlite": _measure()}
    port = free_port()
    os.environ["REDREC_REDIS"] = f"localhost:{port}"
    redis = start_redis(port)
    try:
        result["redis"] = _measure()
        result["redis"]["keys"] = Redis(port=port).dbsize()
    finally:
        stop(redis)
    return result


def _measure() -> dict[str, Any]:
    from feature_repo.push import Pusher
    from tests.bundles import tiny_run

    with TemporaryDirectory() as scratch:
        folder, port = Path(scratch), free_port()
        bundle = tiny_run(folder)
        options = ["--bundle", str(bundle.path), "--features", str(folder / "features"), "--http_port", str(port)]
        server = subprocess.Popen([sys.executable, "-m", "serving", *options], cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            url, pusher = f"http://127.0.0.1:{port}", Pusher(folder / "features", bundle.item_index)
            _wait(url)
            seconds = [
                _seconds_until_seen(url, pusher, f"user-{n}", bundle.vocabulary.actions[0]) for n in range(NUM_PUSHES)
            ]
        finally:
            stop(server)
    p50_s, max_s = np.percentile(seconds, [50, 100]).tolist()
    say(f"{pusher.histories.store_name.split()[0]} | {NUM_PUSHES} pushes | p50 {p50_s:.3f} s | at most {max_s:.3f} s")
    return {"pushes": NUM_PUSHES, "p50_s": p50_s, "max_s": max_s}


def _seconds_until_seen(url: str, pusher: Any, user_id: str, action: str) -> float:
    from feature_repo.push import PushedEvent
    from serving.client import query

    def recommended() -> list[str]:
        return [item["item_id"] for item in query(url, user_id, SCENARIO, 4, exclude_seen=True)["items"]]

    seen, start = recommended()[0], time.perf_counter()
    pushed = pusher.push([PushedEvent(user_id, seen, SCENARIO, action, time.time_ns() // 1_000_000)])
    assert pushed.added == 1, pushed
    while seen in recommended():
        pass
    return time.perf_counter() - start


def _wait(url: str) -> None:
    from serving.client import query

    for _ in range(600):
        try:
            query(url, "user-0", SCENARIO)
            return
        except ConnectionError:
            time.sleep(0.2)
    raise TimeoutError(f"{url} does not answer")
