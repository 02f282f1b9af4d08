"""Referees as scorers of ours: trained in their own environments on the same events.

A user vector depends on the history and the query's moment alone, so these are the key to look it up.

Shapes: C cases, D width, B users.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from redrec.config import load_config
from redrec.data.histories import TRAIN, VALIDATION, Histories
from redrec.evaluation.cases import Case, cases_of
from redrec.evaluation.scorers import Scorer
from redrec.history import History, Ints
from tests.benchmarks.referees.contract import ITEMS, TRAINING, RefereeConfig, Training, outputs, write_inputs
from tests.benchmarks.referees.environment import run

MAX_VALIDATION_CASES = 10_000  # per scenario and epoch


def script_of(model: str) -> str:
    return "bsarec_checkout" if model == "bsarec" else "rectools_models"


class Referee:
    """The events and queries of one referee: of all scenarios, or of a single one that it is trained on alone.

    It trains on the events of the splits up to `until`; if these are not of the validation split too, it stops early.
    """

    def __init__(self, histories: Histories, num_scenarios: int, scenario: int | None, until: int) -> None:
        self.histories, self.scenario, self.until = histories, scenario, until
        self.scenarios = range(num_scenarios) if scenario is None else [scenario]

    def train(self, config: RefereeConfig, cases: Sequence[Case], folder: Path, environments: Path) -> Training:
        """Train the referee unless an earlier run did so."""
        if not (folder / ITEMS).exists():  # written last
            shutil.rmtree(folder, ignore_errors=True)
            valid = self._queries(self._validation_cases()) if self.until == TRAIN else None
            events = events_of(self.histories, self.until, self.scenario)
            write_inputs(folder, config, events, valid, self._queries(cases))
            run(script_of(config.model), folder, environments)
        return load_config(Training, folder / TRAINING)

    def scorer(self, cases: Sequence[Case], folder: Path) -> Scorer:
        """Return the trained referee as a scorer of these cases' histories."""
        vectors, row_of = outputs(folder), {}
        for row, case in enumerate(cases):
            row_of[self._key(case.known(self.histories), case.moment_ms)] = row

        def interests_of(queried: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
            rows = [row_of[self._key(*query)] for query in zip(queried, moment_ms_B, strict=True)]
            return vectors.users_CD[rows][:, None]

        return Scorer(interests_of, vectors.items_ND)

    def _validation_cases(self) -> list[Case]:
        cases = []
        for scenario in self.scenarios:
            cases += cases_of(self.histories, scenario, VALIDATION, 1, MAX_VALIDATION_CASES, seed=0)
        return cases

    def _queries(self, cases: Sequence[Case]) -> pa.Table:
        known = [self._known(case.known(self.histories)) for case in cases]
        moments = [self._moment_ms(history, case.moment_ms) for history, case in zip(known, cases, strict=True)]
        return pa.table(
            {
                "history": pa.array([history.item_L for history in known], pa.list_(pa.int64())),
                "timestamps_ms": pa.array([history.timestamp_ms_L for history in known], pa.list_(pa.int64())),
                "moment_ms": pa.array(moments, pa.int64()),
                "target": pa.array([case.target_T[0] for case in cases], pa.int64()),
            }
        )

    def _known(self, history: History) -> History:
        return history if self.scenario is None else history.at(history.scenario_L == self.scenario)

    def _moment_ms(self, history: History, moment_ms: int) -> int:
        """Return the time of the query: of the newest event if there is no cutoff; the target's would be a leak."""
        return int(moment_ms) if self.histories.has_cutoff else int(history.timestamp_ms_L[-1:].max(initial=0))

    def _key(self, history: History, moment_ms: int) -> tuple[bytes, bytes, int]:
        known = self._known(history)
        return known.item_L.tobytes(), known.timestamp_ms_L.tobytes(), self._moment_ms(known, moment_ms)


def events_of(histories: Histories, until: int, scenario: int | None = None) -> pa.Table:
    """Return the events of the splits up to one, of all scenarios or of one, in the referees' columns."""
    is_kept_N = np.asarray(histories.split_N) <= until
    if scenario is not None:
        is_kept_N &= np.asarray(histories.scenario_N) == scenario
    user_N = np.repeat(np.arange(len(histories)), histories.end_U - histories.begin_U)
    return pa.table(
        {
            "user": user_N[is_kept_N],
            "item": np.asarray(histories.item_N)[is_kept_N].astype(np.int64),
            "timestamp_ms": np.asarray(histories.timestamp_ms_N)[is_kept_N],
        }
    )
