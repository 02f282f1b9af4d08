"""Users: one row per user, scenario and model with the ranks of the targets, from which every metric follows.

The table is written scenario by scenario, so that only one scenario's ranks are in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from redrec.data.histories import Histories
from redrec.evaluation.cases import SLICES, Case, slice_of
from redrec.evaluation.ranking import Ranks
from redrec.history import Ints

RANKS = pa.list_(pa.int32())
USERS_SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "scenario": pa.string(),
        "model": pa.string(),
        "num_known": pa.int32(),  # known events of the user
        "num_known_of_scenario": pa.int32(),
        "slice": pa.string(),
        "ranks": RANKS,  # from 1, in the order of the targets
        "ranks_unseen": RANKS,  # among the items new to the user; null for a target that is not new
    }
)


def users_of(histories: Histories, cases: Sequence[Case], scenario: int, name: str) -> dict[str, Any]:
    """Return the columns of the users' table that do not depend on a model."""
    num_known_U2 = np.zeros((len(cases), 2), dtype=np.int64)
    for u, case in enumerate(cases):
        scenario_L = case.known(histories).scenario_L
        num_known_U2[u] = len(scenario_L), np.count_nonzero(scenario_L == scenario)
    return {
        "user_id": [histories.user_ids[case.user] for case in cases],
        "scenario": [name] * len(cases),
        "num_known": num_known_U2[:, 0],
        "num_known_of_scenario": num_known_U2[:, 1],
        "slice": [SLICES[index] for index in slice_of(num_known_U2[:, 1])],
    }


@contextmanager
def users_table(path: Path) -> Iterator[Callable[[dict[str, Any], str, Ranks], None]]:
    """Yield a function that appends the ranks of one model in one scenario to the table at `path`."""

    def write(users: dict[str, Any], model: str, ranks: Ranks) -> None:
        columns = users | {"model": [model] * len(users["user_id"])}
        columns["ranks"] = [rank_T[rank_T > 0] for rank_T in ranks.rank_UT]
        columns["ranks_unseen"] = [
            _none_for_zero(unseen_T[rank_T > 0])
            for rank_T, unseen_T in zip(ranks.rank_UT, ranks.rank_unseen_UT, strict=True)
        ]
        writer.write_table(pa.table({name: columns[name] for name in USERS_SCHEMA.names}, schema=USERS_SCHEMA))

    with pq.ParquetWriter(path, USERS_SCHEMA) as writer:
        yield write


def _none_for_zero(rank_T: Ints) -> list[int | None]:
    return [rank or None for rank in rank_T.tolist()]
