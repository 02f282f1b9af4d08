"""Referee: RecTools' SASRec, trained in its own environment on the same events, as a scorer of ours.

Its user vector depends on the history's items alone, so the items are the key to look it up.

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

# Dropout .3 was better than .5 on validation; an epoch of its full cross-entropy takes nine times as long on a CPU.
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
    """Return the referee as a scorer of these cases' histories; it is trained unless an earlier run did so.

    It stops after `num_epochs`, or without them early by the validation split.
    """
    known = [case.known(histories).item_L for case in cases]
    if not (folder / "users.npy").exists():
        shutil.rmtree(folder, ignore_errors=True)
        config = RefereeConfig(num_items=num_items, seed=seed, **{**CHOICES, "max_epochs": num_epochs or MAX_EPOCHS})
        valid = None if num_epochs else events_of(histories, VALIDATION)
        write_inputs(folder, config, events_of(histories, TRAIN), valid, [item_L.tolist() for item_L in known])
        run("rectools_sasrec", folder, environments)
    vectors = outputs(folder)
    row_of = {item_L.tobytes(): row for row, item_L in enumerate(known)}

    def interests_of(queried: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        return vectors.users_CD[[row_of[history.item_L.tobytes()] for history in queried]][:, None]

    return Scorer(interests_of, vectors.items_ND)


def events_of(histories: Histories, split: int) -> pa.Table:
    """Return the events of one split in the referees' columns."""
    is_kept_N = np.asarray(histories.split_N) == split
    user_N = np.repeat(np.arange(len(histories)), histories.end_U - histories.begin_U)
    return pa.table(
        {
            "user": user_N[is_kept_N],
            "item": np.asarray(histories.item_N)[is_kept_N].astype(np.int64),
            "timestamp_ms": np.asarray(histories.timestamp_ms_N)[is_kept_N],
        }
    )
