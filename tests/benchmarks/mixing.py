"""Mixing: how long it takes to turn histories into the user tower's inputs, the code that every request runs.

Histories are random, 100 events each over three scenarios, so that every quota takes effect. One user is a request, 256
users are a training batch.
"""

from functools import partial
from typing import Any

import numpy as np

from redrec.history import HistoryConfig, Vocabulary, encode_history, tower_inputs
from tests.benchmarks.measure import main, say, timed

NUM_ITEMS, VECTOR_DIM, NUM_EVENTS, BATCHES = 20_000, 64, 100, (1, 256)


def run(repeats: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    vocabulary = Vocabulary(scenarios=("homefeed", "search", "ads"), actions=("click", "view"))
    item_ids = [f"i{n}" for n in range(NUM_ITEMS)]
    item_index = {item_id: n for n, item_id in enumerate(item_ids)}
    vectors_NE = rng.standard_normal((NUM_ITEMS, VECTOR_DIM)).astype(np.float16)
    raw = [
        (
            rng.choice(item_ids, NUM_EVENTS).tolist(),
            rng.choice(vocabulary.actions, NUM_EVENTS).tolist(),
            rng.choice(vocabulary.scenarios, NUM_EVENTS).tolist(),
            rng.integers(0, 10**10, NUM_EVENTS).tolist(),
        )
        for _ in range(max(BATCHES))
    ]
    histories = [encode_history(*events, item_index=item_index, vocabulary=vocabulary) for events in raw]

    def encode() -> None:
        encode_history(*raw[0], item_index=item_index, vocabulary=vocabulary)

    def mix(num_users: int) -> None:
        tower_inputs(histories[:num_users], [0] * num_users, [0] * num_users, vectors_NE, HistoryConfig())

    result: dict[str, Any] = {"repeats": repeats, "num_events": NUM_EVENTS, "encode_history": timed(encode, repeats)}
    say(f"encode_history | 1 user | {result['encode_history']['wall_ms']:.3f} ms")
    for num_users in BATCHES:
        times = timed(partial(mix, num_users), repeats)
        result[f"tower_inputs/{num_users}"] = times
        say(f"tower_inputs | {num_users} users | {times['wall_ms']:.3f} ms")
    return result


if __name__ == "__main__":
    main("mixing", run, repeats=50)
