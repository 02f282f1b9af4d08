"""Evaluate: the exported towers against the baselines, full catalog, per scenario, with intervals.

Writes `metrics.json` (`{"scenarios": {scenario: {model: {metric: {"value", "low", "high", "users"}}}}}`) and
`examples.json` (three users to look at). `hit_rate@10` ranks all items of the scenario, `hit_rate@10_unseen`
only those new to the user, for targets that are new to the user.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import Histories, train_counts
from redrec.data.items import is_allowed, titles
from redrec.data.prepare import read_vocabulary
from redrec.evaluation.baselines import TowerScorer, mean_of_last_n, popularity
from redrec.evaluation.intervals import Estimate, bootstrap_means
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import Case, Scorer, cases_of, rank_targets
from redrec.model.history import Vocabulary
from redrec.recipe import Recipe

KS = (10, 50, 100, 1000)
MAX_USERS = 5000  # of a scenario; more only narrow the interval
NUM_EXAMPLES = 3
NUM_HISTORY_SHOWN = 8
NUM_RECOMMENDED = 5

Metrics = dict[str, dict[str, dict[str, dict[str, float | int | None]]]]


def evaluate(data: Path, model: Path, out: Path) -> dict[str, Metrics]:
    """Measure `model` on `data`, write the two files into `out`, and return the metrics."""
    recipe = Recipe.model_validate_json((model / "recipe.json").read_text())
    vocabulary, histories = read_vocabulary(data), Histories(data / "histories")
    allowed_SN = is_allowed(data / "items.parquet", vocabulary.scenarios)
    tower = TowerScorer(model / "export", histories, recipe.history)
    counts_SN = train_counts(histories, allowed_SN.shape[1], len(vocabulary.scenarios))
    scorers: dict[str, Scorer] = {
        "redrec": tower,
        "popularity": popularity(counts_SN),
        "mean_of_last_n": mean_of_last_n(histories, tower.embeddings_ND),
    }
    cases = {
        s: cases_of(histories, s, recipe.batch.target_window, MAX_USERS, recipe.seed)
        for s in range(len(vocabulary.scenarios))
    }
    measured: Metrics = {
        name: {
            model_name: measure(scorer, cases[s], s, allowed_SN[s], recipe.seed)
            for model_name, scorer in scorers.items()
        }
        for s, name in enumerate(vocabulary.scenarios)
    }
    out.mkdir(parents=True, exist_ok=True)
    metrics = {"scenarios": measured}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1))
    shown = examples(tower, histories, cases, vocabulary, allowed_SN, titles(data / "items.parquet"))
    (out / "examples.json").write_text(json.dumps(shown, indent=1, ensure_ascii=False))
    return metrics


def measure(
    scorer: Scorer, cases: list[Case], scenario: int, is_candidate_N: NDArray[np.bool_], seed: int
) -> dict[str, dict[str, float | int | None]]:
    """Return the estimates of one scorer in one scenario, by metric."""
    rows = [
        user_metrics(ranks.rank_T, KS)
        | {f"{k}_unseen": v for k, v in user_metrics(ranks.rank_unseen_T[ranks.unseen_T], KS).items()}
        for ranks in rank_targets(scorer, cases, scenario, is_candidate_N)
    ]
    names = list(user_metrics(np.array([1]), KS))
    names += [f"{name}_unseen" for name in names]
    metrics_UM = np.array([[row[name] for name in names] for row in rows]).reshape(-1, len(names))
    estimates: list[Estimate] = bootstrap_means(metrics_UM, seed)
    return {name: estimate.model_dump() for name, estimate in zip(names, estimates, strict=True)}


def examples(
    tower: TowerScorer,
    histories: Histories,
    cases: dict[int, list[Case]],
    vocabulary: Vocabulary,
    allowed_SN: NDArray[np.bool_],
    titles_N: list[str],
) -> list[dict[str, object]]:
    """Return the users with targets in most scenarios: newest history and, per scenario, the top of the catalog.

    `hit` says whether the user did touch the recommended item in the test window.
    """
    by_user: dict[int, dict[int, Case]] = {}
    for s, of_scenario in cases.items():
        for case in of_scenario:
            by_user.setdefault(case.user, {})[s] = case
    users = sorted(by_user, key=lambda user: (-len(by_user[user]), user))[:NUM_EXAMPLES]
    return [
        {
            "user_id": histories.user_ids[user],
            "history": _history_shown(histories, user, vocabulary, titles_N),
            "recommended": {
                name: _recommended(tower, user, s, by_user[user], allowed_SN[s], titles_N)
                for s, name in enumerate(vocabulary.scenarios)
            },
        }
        for user in users
    ]


def _history_shown(
    histories: Histories, user: int, vocabulary: Vocabulary, titles_N: list[str]
) -> list[dict[str, str]]:
    """The newest events, newest first; at least one of each scenario the user acted in is among them."""
    history = histories.train_of(user)
    newest_of_scenario = {int(s): i for i, s in enumerate(history.scenario_L)}
    newest = list(range(len(history.item_L)))[-(NUM_HISTORY_SHOWN - len(newest_of_scenario)) :]
    shown = sorted({*newest, *newest_of_scenario.values()}, reverse=True)
    return [
        {
            "scenario": vocabulary.scenarios[history.scenario_L[i]],
            "action": vocabulary.actions[history.action_L[i]],
            "title": titles_N[history.item_L[i]],
        }
        for i in shown
    ]


def _recommended(
    tower: TowerScorer,
    user: int,
    scenario: int,
    cases: dict[int, Case],
    is_candidate_N: NDArray[np.bool_],
    titles_N: list[str],
) -> list[dict[str, object]]:
    scores_N = np.where(is_candidate_N, tower([user], scenario)[0], -np.inf)
    top = np.argsort(-scores_N, kind="stable")[:NUM_RECOMMENDED]
    targets = set(cases[scenario].target_T.tolist()) if scenario in cases else set()
    return [{"title": titles_N[i], "score": round(float(scores_N[i]), 3), "hit": int(i) in targets} for i in top]
