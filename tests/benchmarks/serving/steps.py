"""The steps of an answer, each in a loop on one thread, and all in turn as a request has them, in CPU milliseconds.

    python -m tests.benchmarks.serving.steps RUN

In a loop a step finds its code and data in the caches of the processor; in turn, each has lost them to the others. The
last three are not counted as bare steps of a request: they are what an answer needs besides.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from redrec.bundle.reader import Bundle
from redrec.folders import RunFolder
from redrec.history import now_ms, tower_inputs
from redrec.index.exact import SearchResult
from redrec.index.filters import ItemFilter
from redrec.index.merge import Merged
from serving.config import ServingConfig
from serving.histories import HistoryReader, encode_columns
from serving.interests import KnownUser, QueriedUser
from serving.requests import Query
from serving.retriever import Retriever
from serving.shedding import Waiting
from serving.workers import TOWER
from tests.benchmarks.measure import timed
from tests.benchmarks.serving.generated import SCENARIO, user_ids

K, REPEATS, CALLS = 10, 50, 20
BARE = ("feature read", "tower", "search")


def steps_of(retriever: Retriever) -> dict[str, Callable[[str], object]]:
    """Return each step as a function of the user's id; what comes before it is done once."""
    bundle, histories, lists, interests = retriever.bundle, retriever.histories, retriever.lists, retriever.interests
    scenario, item_filter = bundle.manifest.scenarios.index(SCENARIO), ItemFilter(SCENARIO)
    users = user_ids()
    columns: dict[str, Any] = {user: histories.read_many([user])[0] for user in users}
    history = {user: encode_columns(columns[user], bundle) for user in users}

    def inputs_of(user: str) -> Any:
        return tower_inputs([history[user]], [scenario], [now_ms()], bundle.vectors_NE, bundle.history_config)

    def queried_by(user: str) -> QueriedUser:
        query = Query(user_id=user, scenario=SCENARIO, k=K)
        (queried,) = interests.of(TOWER, [KnownUser(query, history[user], item_filter)], now_ms())
        return queried

    inputs, queried = {user: inputs_of(user) for user in users}, {user: queried_by(user) for user in users}
    num_searched, embedded = lists.num_searched(queried[users[0]]), lists.embedded
    assert embedded is not None

    def search(user: str) -> SearchResult:
        return embedded.search(queried[user].query.interests_QD, num_searched, item_filter, queried[user].boosted)

    def merge(user: str) -> Merged:
        scores_QK, items_QK = search(user)
        return lists.merge(scores_QK, items_QK, num_searched)

    merged = {user: merge(user) for user in users}
    return {
        "feature read": lambda user: histories.read_many([user]),
        "tower": lambda user: interests.tower(inputs[user]),
        "search": search,
        "history and inputs": lambda user: (encode_columns(columns[user], bundle), inputs_of(user)),
        "boosts": lambda user: interests.boosts(replace(queried[user].query), interests.popular),
        "merge and rank": lambda user: lists._ranked(merged[user], queried[user]),
    }


def in_a_loop(step: Callable[[str], object]) -> float:
    users = cycle(user_ids())

    def calls() -> None:
        for _ in range(CALLS):
            step(next(users))

    return timed(calls, REPEATS)["cpu_ms"] / CALLS


def in_turn(steps: dict[str, Callable[[str], object]]) -> dict[str, float]:
    cpus: dict[str, list[float]] = {name: [] for name in steps}
    for user in islice(cycle(user_ids()), REPEATS * CALLS):
        for name, step in steps.items():
            begin = time.thread_time()
            step(user)
            cpus[name].append(1000 * (time.thread_time() - begin))
    return {name: statistics.median(values) for name, values in cpus.items()}


def measure(steps: dict[str, Callable[[str], object]]) -> dict[str, dict[str, float]]:
    ways = {"loop": {name: in_a_loop(step) for name, step in steps.items()}, "turn": in_turn(steps)}
    return {way: {name: round(value, 3) for name, value in of_steps.items()} for way, of_steps in ways.items()}


def main() -> None:
    run = RunFolder(Path(sys.argv[1]))
    retriever = Retriever(Bundle.load(run.bundle), ServingConfig(), HistoryReader(run.features), Waiting())
    print(json.dumps(measure(steps_of(retriever))))


if __name__ == "__main__":
    main()
