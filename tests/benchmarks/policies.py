"""Policies: what each merge of a user's interests finds, and medoids in place of the tower, at equal k.

    python -m tests.benchmarks.policies --data world --json

A model of three interests is trained once (the own recipe of the set, seed 0; `ablation` uses the same one) and kept in
`tests/benchmarks/results/ablation`, another one for each `--change`. Each user of the test split is searched as in serving: boosts, exact search for each
interest, the policy, and with `ranked` the ranker, whose contenders the policy chooses. `popular` is the list that medoids
replace where the tower does not answer.

A taste is the planted interest of an item in the world, and the product category of a grocery. A minor target is of
another taste than the most frequent one among the user's known events.

- `hit_rate@10`, `recall@50`, `minor_recall@50`: of the next ten items, in lists of 10 and of 50.
- `tastes@10`: how many tastes a list of ten has.
- `cpu_ms`: of one user at a time, from the history to the list of ten.

Shapes: U users, Q interests, N items, K results, T targets.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from redrec.config import changed
from redrec.data.histories import TEST, VALIDATION, Histories
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.datasets.world import World
from redrec.evaluation.baselines import popular_items
from redrec.evaluation.cases import MAX_USERS, Case, EvaluationConfig, cases_of
from redrec.evaluation.contenders import popular_boosts
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import mean_cosine
from redrec.evaluation.scorers import exported_towers, with_boosts
from redrec.folders import DataFolder, ModelFolder
from redrec.history import History, Ints
from redrec.index.exact import exact_search
from redrec.index.medoids import POPULARITY, medoids
from redrec.index.merge import MERGES, Policy
from redrec.index.ranker import RankedQuery, Ranker
from redrec.intervals import bootstrap_means, paired_gain
from redrec.model.boosts import BoostWeights
from redrec.model.manifest import read_model
from redrec.training.trainer import train
from tests.benchmarks import ablation
from tests.benchmarks.measure import commit, say

KS = (10, 50)
SEED, NUM_TIMED = 0, 200
SPLITS = {"test": TEST, "validation": VALIDATION}
MAX, MEDOID, POPULAR = "max", "medoid", "popular"
RANKED = " ranked"

Lists = dict[int, Ints]  # by k


class Way(NamedTuple):
    """A way from a history to a list: interests of the tower or of medoids, a policy, and the ranker or not."""

    policy: Policy
    has_tower: bool = True
    has_ranker: bool = False


WAYS = {name: Way(name) for name in MERGES} | {f"{name}{RANKED}": Way(name, has_ranker=True) for name in MERGES}
WAYS[MEDOID] = Way("max", has_tower=False)


class Measured:
    """A trained model and its data."""

    def __init__(self, data: str, split: str, changes: Sequence[str] = ()) -> None:
        folder, model = ablation.folder_of(data), trained(data, changes)
        manifest, self.split = read_model(model), SPLITS[split]
        self.scenarios, self.histories = read_vocabulary(folder).scenarios, Histories(folder)
        self.allowed_SN = is_allowed(DataFolder(folder).items, self.scenarios)
        towers = exported_towers(model, manifest.history)
        self.scorer, self.of_medoids = (
            with_boosts(towers, Popularity(self.histories, self.allowed_SN), boosts, manifest.logit_scale)
            for boosts in (manifest.boosts, [boosted(weights) for weights in manifest.boosts])
        )
        self.embeddings_ND = np.asarray(towers.embeddings_ND, np.float32)
        self.ranker = Ranker.load(ModelFolder(model).ranker, manifest.logit_scale)
        self.taste_N = tastes_of(data, DataFolder(folder).items)
        popular = popular_items(folder, len(self.taste_N))
        self.popular = [np.array(popular[name]) for name in self.scenarios]

    def cases(self, scenario: int) -> list[Case]:
        return cases_of(self.histories, scenario, self.split, EvaluationConfig().num_targets, MAX_USERS, SEED)

    def query(self, case: Case, scenario: int, *, has_tower: bool) -> RankedQuery:
        history = case.known(self.histories)
        if has_tower:
            interests_QD = self.scorer.interests_of([history], scenario, np.array([case.moment_ms]))[0]
        else:
            interests_QD = self.embeddings_ND[medoids(history, scenario, self.embeddings_ND, case.moment_ms)]
        return RankedQuery(interests_QD, history, scenario, case.moment_ms)

    def lists(
        self, query: RankedQuery, ways: dict[str, Way], ks: tuple[int, ...], *, has_tower: bool
    ) -> dict[str, Lists]:
        """Return the list of each way and length; the query is searched once."""
        boosts = (self.scorer if has_tower else self.of_medoids).boosts
        assert boosts is not None
        boost_N = boosts.of_all(query)
        num_searched = max(*ks, self.ranker.num_contenders)
        is_allowed_N = self.allowed_SN[query.scenario]
        result = exact_search(query.interests_QD, self.embeddings_ND, num_searched, is_allowed_N, boost_N)
        return {name: {k: self._merged(way, result, query, k) for k in ks} for name, way in ways.items()}

    def _merged(self, way: Way, result: Any, query: RankedQuery, k: int) -> Ints:
        merge, (scores_QK, items_QK) = MERGES[way.policy], result
        if not way.has_ranker:
            return merge(scores_QK, items_QK, k).items_K
        best = merge(scores_QK, items_QK, max(k, self.ranker.num_contenders))
        popular_C = popular_boosts(self.scorer, query)[best.items_K]
        return self.ranker.ranked(best, query, popular_C, self.embeddings_ND).items_K[:k]


def boosted(weights: BoostWeights) -> BoostWeights:
    """Return the weights of medoids, as in serving."""
    return weights.model_copy(update={"popularity": weights.popularity + POPULARITY})


def trained(data: str, changes: Sequence[str]) -> Path:
    """Return the model folder of a set; it is trained if no earlier run has."""
    out = ablation.RESULTS / data / "-".join([ablation.WHOLE, *changes]) / str(SEED)
    if not ModelFolder(out).manifest.exists():
        say(f"{data} | training")
        train(ablation.folder_of(data), out, changed(ablation.recipe_of(data, ablation.WHOLE, SEED), changes))
    return out


def tastes_of(data: str, items: Path) -> Ints:
    """Return the number of each item's taste, `taste_N`."""
    table = pq.read_table(items)
    if data in ablation.WORLDS:
        world = World(ablation.WORLDS[data])
        return world.interest_N[np.searchsorted(world.item_ids(), table["item_id"].to_pylist())]
    return np.unique(table["category"].to_pylist(), return_inverse=True)[1]


def metrics_of(lists: Lists, case: Case, history: History, taste_N: Ints) -> dict[str, float]:
    target_T = case.target_T
    main_taste = np.bincount(taste_N[history.item_L]).argmax()
    minor_T = target_T[taste_N[target_T] != main_taste]
    return {
        "hit_rate@10": float(np.isin(target_T, lists[10]).any()),
        "recall@50": float(np.isin(target_T, lists[50]).mean()),
        "minor_recall@50": float(np.isin(minor_T, lists[50]).mean()) if len(minor_T) else np.nan,
        "tastes@10": float(len(np.unique(taste_N[lists[10]]))),
    }


def measured(model: Measured, scenario: int) -> dict[str, list[dict[str, float]]]:
    """Return each user's metrics by way."""
    of_tower = {name: way for name, way in WAYS.items() if way.has_tower}
    of_medoids = {name: way for name, way in WAYS.items() if not way.has_tower}
    popular = {k: model.popular[scenario][:k] for k in KS}
    metrics: dict[str, list[dict[str, float]]] = {name: [] for name in (*WAYS, POPULAR)}
    for case in model.cases(scenario):
        lists = {POPULAR: popular}
        for has_tower, ways in ((True, of_tower), (False, of_medoids)):
            query = model.query(case, scenario, has_tower=has_tower)
            lists |= model.lists(query, ways, KS, has_tower=has_tower)
        for name, of_way in lists.items():
            metrics[name].append(metrics_of(of_way, case, query.history, model.taste_N))
    return metrics


def figures(metrics: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return each metric's mean with its interval over users, and the gain over `rival` for the same users."""
    values = {
        name: {metric: np.array([user[metric] for user in users]) for metric in users[0]}
        for name, users in metrics.items()
    }
    result: dict[str, Any] = {}
    for name, of_way in values.items():
        estimates = bootstrap_means(np.stack(list(of_way.values()), axis=1), SEED)
        of_rival = values[rival(name)]
        result[name] = {
            metric: {
                **estimate.model_dump(),
                "gain": paired_gain(of_way[metric], of_rival[metric], SEED).difference.model_dump(),
            }
            for metric, estimate in zip(of_way, estimates, strict=True)
        }
    return result


def rival(name: str) -> str:
    """Return the way that another one would replace, or does."""
    if name == MEDOID:
        return POPULAR
    return MAX + RANKED if name.endswith(RANKED) else MAX


def cpu_ms(model: Measured, scenario: int) -> dict[str, float]:
    """Return the CPU of one user's list of ten: the median over users, who are answered one at a time."""
    cases, spent = model.cases(scenario)[:NUM_TIMED], {}
    for name, way in WAYS.items():
        times = []
        for case in cases:
            start = time.process_time()
            query = model.query(case, scenario, has_tower=way.has_tower)
            model.lists(query, {name: way}, KS[:1], has_tower=way.has_tower)
            times.append(1000 * (time.process_time() - start))
        spent[name] = float(np.median(times))
    return spent


def cosine(model: Measured, scenario: int) -> float:
    """Return the mean cosine of two interests of a user."""
    queries = [model.query(case, scenario, has_tower=True) for case in model.cases(scenario)]
    return float(mean_cosine(np.stack([query.interests_QD for query in queries])).mean())


def run(data: str, split: str, changes: Sequence[str]) -> dict[str, Any]:
    model, result = Measured(data, split, changes), {}
    for s, scenario in enumerate(model.scenarios):
        result[scenario] = figures(measured(model, s))
        result[scenario][MAX]["cosine"] = cosine(model, s)
        say(f"{scenario} | cosine of interests {result[scenario][MAX]['cosine']:.3f}")
        for name, spent in cpu_ms(model, s).items():
            result[scenario][name]["cpu_ms"] = spent
        for name, of_way in result[scenario].items():
            shown = " | ".join(f"{metric} {of_way[metric]['value']:.4f}" for metric in list(of_way)[:4])
            say(f"{scenario} | {name} | {shown} | CPU {of_way.get('cpu_ms', 0):.2f} ms")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.policies")
    parser.add_argument("--data", choices=[*ablation.WORLDS, ablation.COMPLETE_JOURNEY], default="world")
    parser.add_argument("--measured", choices=list(SPLITS), default="test", help="validation is for tuning")
    parser.add_argument("--change", action="append", default=[], help="path.of.field=JSON; may be given again")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    report = {"benchmark": "policies", "commit": commit(), **vars(arguments)}
    report["result"] = run(arguments.data, arguments.measured, arguments.change)
    print(json.dumps(report, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
