"""Referee: RecTools' SASRec, trained in its own environment on the same events, as a scorer of ours.

What it makes of a history depends on the items alone, so its users' vectors are found again by them.

Shapes: C cases, D width, B users.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from redrec.data.histories import TRAIN, VALIDATION, Histories
from redrec.evaluation.cases import Case
from redrec.evaluation.scorers import Scorer
from redrec.history import History, Ints
from tests.benchmarks.referees.contract import RefereeConfig, outputs, write_inputs
from tests.benchmarks.referees.environment import run

# Of .3 and .5 the better dropout on validation; its full cross-entropy takes nine times as long an epoch on a CPU.
CHOICES = {
    "loss": "sampled_softmax", "num_negatives": 64, "dropout": 0.3, "learning_rate": 2e-3,
    "length": 50, "patience": 5,
}  # fmt: skip
MAX_EPOCHS = 60


def rectools_sasrec(
    histories: Histories,
    cases: Sequence[Case],
    num_items: int,
    num_epochs: int | None,
    seed: int,
    folder: Path,
    environments: Path,
) -> Scorer:
    """Return the referee as a scorer of these cases' histories; it is trained now, or was by an earlier run.

    It stops early by the validation part, or where there is none after `num_epochs`.
    """
    known = [case.known(histories).item_L for case in cases]
    if not (folder / "users.npy").exists():
        shutil.rmtree(folder, ignore_errors=True)
        config = RefereeConfig(num_items=num_items, seed=seed, **{**CHOICES, "max_epochs": num_epochs or MAX_EPOCHS})
        valid = None if num_epochs else events_of(histories, VALIDATION)
        write_inputs(folder, config, events_of(histories, TRAIN), valid, [item_L.tolist() for item_L in known])
        run("rectools_sasrec", folder, environments)
    made = outputs(folder)
    row_of = {item_L.tobytes(): row for row, item_L in enumerate(known)}

    def interests_of(queried: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        return made.users_CD[[row_of[history.item_L.tobytes()] for history in queried]][:, None]

    return Scorer(interests_of, made.items_ND)


def events_of(histories: Histories, part: int) -> pa.Table:
    """Return the events of one part in the referees' columns."""
    is_kept_N = np.asarray(histories.split_N) == part
    user_N = np.repeat(np.arange(len(histories)), histories.end_U - histories.begin_U)
    return pa.table(
        {
            "user": user_N[is_kept_N],
            "item": np.asarray(histories.item_N)[is_kept_N].astype(np.int64),
            "timestamp_ms": np.asarray(histories.timestamp_ms_N)[is_kept_N],
        }
    )
