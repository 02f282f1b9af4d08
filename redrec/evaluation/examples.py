"""Examples: three users to look at, their newest events and what the towers would show them in every scenario.

Shapes: S scenarios, N items, K recommended items.
"""

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories
from redrec.evaluation.cases import Case
from redrec.evaluation.contenders import best_items, queries_of
from redrec.evaluation.scorers import Scorer
from redrec.history import History, Vocabulary

NUM_EXAMPLES = 3
NUM_HISTORY_SHOWN = 8
NUM_RECOMMENDED = 10  # as hit_rate@10 counts

Description = dict[str, str | None]  # of an item: id, title, category
ShownUser = dict[str, object]
RecommendedItem = dict[str, object]


def examples(
    scorer: Scorer,
    histories: Histories,
    cases: dict[int, list[Case]],
    vocabulary: Vocabulary,
    allowed_SN: NDArray[np.bool_],
    items_N: list[Description],
) -> list[ShownUser]:
    """Return the users with targets in most scenarios: newest history and, per scenario, the top of the catalog.

    `hit` says whether the recommended item is a target of the user.
    """
    by_user: dict[int, dict[int, Case]] = {}
    for s, scenario_cases in cases.items():
        for case in scenario_cases:
            by_user.setdefault(case.user, {})[s] = case
    users = sorted(by_user, key=lambda user: (-len(by_user[user]), user))[:NUM_EXAMPLES]
    shown: list[ShownUser] = []
    for user in users:
        some_case = next(iter(by_user[user].values()))
        recommended = {
            name: _recommended(scorer, by_user[user].get(s), some_case, s, histories, allowed_SN[s], items_N)
            for s, name in enumerate(vocabulary.scenarios)
        }
        history = _history_shown(some_case.known(histories), vocabulary, items_N)
        shown.append({"user_id": histories.user_ids[user], "history": history, "recommended": recommended})
    return shown


def _history_shown(history: History, vocabulary: Vocabulary, items_N: list[Description]) -> list[dict[str, str | None]]:
    """Return the newest events, newest first, with at least one of each scenario that the user acted in."""
    newest_of_scenario = {int(s): i for i, s in enumerate(history.scenario_L)}
    num_events = len(history.item_L)
    num_newest = max(0, NUM_HISTORY_SHOWN - len(newest_of_scenario))
    newest = range(max(0, num_events - num_newest), num_events)
    shown = sorted({*newest, *newest_of_scenario.values()}, reverse=True)
    return [
        {
            "scenario": vocabulary.scenarios[history.scenario_L[i]],
            "action": vocabulary.actions[history.action_L[i]],
            **items_N[history.item_L[i]],
        }
        for i in shown
    ]


def _recommended(
    scorer: Scorer,
    case: Case | None,
    some_case: Case,
    scenario: int,
    histories: Histories,
    is_candidate_N: NDArray[np.bool_],
    items_N: list[Description],
) -> list[RecommendedItem]:
    queried = case or some_case
    (best,) = best_items(scorer, queries_of(scorer, histories, [queried], scenario), is_candidate_N, NUM_RECOMMENDED)
    targets = set(case.target_T.tolist()) if case else set()
    return [
        {**items_N[item], "score": round(float(score), 3), "hit": int(item) in targets}
        for item, score in zip(best.items_K, best.scores_K, strict=True)
    ]
