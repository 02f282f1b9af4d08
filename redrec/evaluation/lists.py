"""Lists: what users would be shown, and what all lists of a scenario hold.

`coverage@10` is the share of the scenario's items that are in the lists of at most `MAX_USERS` users, `new_items@10`
the share of a list's items without an event in the scenario before the test, with an interval over users. A model that
shows everybody the same ten items has little coverage, and one that only knows old items shows no new ones.

Shapes: U users, N items, K results.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories
from redrec.evaluation.cases import Case
from redrec.evaluation.contenders import best_items, queries_of
from redrec.evaluation.scorers import Scorer
from redrec.history import Ints
from redrec.intervals import bootstrap_means

K = 10
MAX_USERS = 200  # of a scenario

ListReport = dict[str, object]


def list_report(
    scorer: Scorer,
    histories: Histories,
    cases: Sequence[Case],
    scenario: int,
    is_candidate_N: NDArray[np.bool_],
    count_N: Ints,
    seed: int,
) -> ListReport:
    """Return `coverage@10` and `new_items@10`; `count_N` are the items' events in the scenario before the test."""
    cases = cases[:MAX_USERS]
    queries = queries_of(scorer, histories, cases, scenario)
    is_shown_N, new_share_U = np.zeros(len(is_candidate_N), dtype=bool), np.full(len(cases), np.nan)
    for u, best in enumerate(best_items(scorer, queries, is_candidate_N, K)):
        is_shown_N[best.items_K] = True
        new_share_U[u] = (count_N[best.items_K] == 0).mean()
    (new_items,) = bootstrap_means(new_share_U[:, None], seed)
    coverage = is_shown_N.sum() / max(1, is_candidate_N.sum())
    return {f"coverage@{K}": float(coverage), f"new_items@{K}": new_items.model_dump()}
