"""Live model: the bundle in service as a scorer of another data folder, to measure it beside a new model.

Each has its own catalog and vocabulary: names are matched. An item that the live model does not know is left out of its
lists, as in serving; so are events with such an item, action or scenario.

Shapes: N items of the data, M items of the bundle, S scenarios of the data, B users.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.bundle.reader import Bundle
from redrec.data import columns as c
from redrec.data.histories import NEVER, Histories
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.contenders import with_ranker
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.scorers import InterestsOf, Scorer, in_blocks, with_boosts
from redrec.folders import DataFolder
from redrec.history import History, Ints, Vocabulary, tower_inputs
from redrec.index.ranker import Networks, Ranker
from redrec.model.boosts import LEFT_OUT
from redrec.model.session import open_tower


def live_scorers(bundle: Path, data: Path) -> dict[str, Scorer]:
    """Return the bundle's model as a scorer of `data`, by the scenarios that both have.

    Raises:
        InputError: `bundle` is no bundle, or not whole.
    """
    live, vocabulary = Bundle.load(bundle), read_vocabulary(data)
    row_N = _indices(pq.read_table(DataFolder(data).items, columns=[c.ITEM_ID])[c.ITEM_ID].to_pylist(), live.item_ids)
    scenario_S = _indices(vocabulary.scenarios, live.manifest.scenarios)
    scorer = Scorer(_interests_of(live, vocabulary, scenario_S, row_N), _rows(live.embeddings_ND, row_N))
    allowed_SN = is_allowed(DataFolder(data).items, vocabulary.scenarios) & (row_N >= 0)
    boosts = [live.manifest.boosts[scenario] for scenario in scenario_S]
    scorer = with_boosts(scorer, Popularity(Histories(data), allowed_SN), boosts, live.manifest.logit_scale)
    scorer = with_ranker(_without_unknown(scorer, row_N), _ranker(live, scenario_S, row_N))
    return {name: scorer for name, scenario in zip(vocabulary.scenarios, scenario_S, strict=True) if scenario >= 0}


def _indices(names: Sequence[str], known: Sequence[str]) -> Ints:
    """Return the position of each name among the known ones, -1 if it is not one of them.

    >>> _indices(["ads", "search"], ["feed", "ads"]).tolist()
    [1, -1]
    """
    positions = {name: position for position, name in enumerate(known)}
    return np.array([positions.get(name, -1) for name in names], dtype=np.int64)


def _rows(values_MX: NDArray, row_N: Ints) -> NDArray:
    """Return the bundle's rows in the order of the data, zeros for an item that it does not know."""
    rows_NX = np.asarray(values_MX)[row_N]
    rows_NX[row_N < 0] = 0
    return rows_NX


def _interests_of(live: Bundle, vocabulary: Vocabulary, scenario_S: Ints, row_N: Ints) -> InterestsOf:
    tower, config = open_tower(live.folder.tower), live.history_config
    vectors_NE, action_A = _rows(live.vectors_NE, row_N), _indices(vocabulary.actions, live.manifest.actions)

    def known_to_live(history: History) -> History:
        events = history._replace(action_L=action_A[history.action_L], scenario_L=scenario_S[history.scenario_L])
        return events.at((row_N[events.item_L] >= 0) & (events.action_L >= 0) & (events.scenario_L >= 0))

    @in_blocks
    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        known = [known_to_live(history) for history in histories]
        return tower(tower_inputs(known, [scenario_S[scenario]] * len(known), moment_ms_B, vectors_NE, config))

    return interests_of


def _without_unknown(scorer: Scorer, row_N: Ints) -> Scorer:
    """Return the scorer with every item that the live model does not know below all others."""
    assert scorer.boosts is not None
    popular, left_out_N = scorer.boosts.popular, np.where(row_N < 0, LEFT_OUT, np.float32(0))

    def popular_and_known(scenario: int, moment_ms: int) -> NDArray[np.float32]:
        return popular(scenario, moment_ms) + left_out_N

    return scorer._replace(boosts=scorer.boosts._replace(popular=popular_and_known))


def _ranker(live: Bundle, scenario_S: Ints, row_N: Ints) -> Ranker:
    first_ms_N = np.where(row_N < 0, NEVER, live.ranker.first_ms_N[row_N])
    networks = Networks(*(values_S[scenario_S] for values_S in live.ranker.networks))
    return live.ranker._replace(first_ms_N=first_ms_N, networks=networks)
