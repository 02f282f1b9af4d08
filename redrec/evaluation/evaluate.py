"""Evaluate: the exported towers against the baselines, full catalog, per scenario, with intervals.

Writes four files: `metrics.json`, `users.parquet` (the ranks of every user, scenario and model, from which all
metrics follow), `examples.json` (three users to look at) and `recipe.yaml` (the model's, to train it again). The keys
of `metrics.json`; estimates are `{metric: {"value", "low", "high", "users"}}`, without low and high where there are too
few users for an interval (`redrec.intervals`):

- `scenarios`: `{scenario: {model: estimates}}`, the model as served, without its ranker, the towers without boosts,
  the live model if one is given, and the baselines (`redrec.evaluation.baselines`). `hit_rate@10` ranks all items of
  the scenario, `hit_rate@10_unseen` only the items new to the user, for targets that are new to the user.
- `gains`: `{scenario: {model: estimates}}`, the model as served minus the other, for the same users.
- `slices`: `{scenario: {slice: {model: estimates}}}`, the same for cold, light and heavy users, only at 10.
- `lists`: `{scenario: {model: ...}}`, how many items all lists hold, and how new these are
  (`redrec.evaluation.lists`).
- `interests`: `{scenario: ...}`, whether the towers' interests collapsed (`redrec.evaluation.collapse`).
- `scenario_value`: `{queried: {removed: estimates}}`, what the towers lose without the events of a scenario.

Shapes: U users, S scenarios, N items, T targets of a user.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from redrec.data.histories import TEST, VALIDATION, Histories, train_counts
from redrec.data.items import descriptions, is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.baselines import mean_of_last_n, own_counts, popularity, recent_popularity
from redrec.evaluation.cases import MAX_USERS, SLICES, Case, EvaluationConfig, cases_of
from redrec.evaluation.collapse import interest_report
from redrec.evaluation.contenders import with_ranker
from redrec.evaluation.examples import examples
from redrec.evaluation.lists import list_report
from redrec.evaluation.metrics import KS, user_metrics
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import Ranks, rank_cases
from redrec.evaluation.scorers import Scorer, exported_towers, with_boosts, without_seen
from redrec.evaluation.users import users_of, users_table
from redrec.folders import DataFolder, EvaluationFolder, ModelFolder, write_json
from redrec.history import Ints
from redrec.index.ranker import Ranker
from redrec.intervals import bootstrap_means, paired_gain
from redrec.model.manifest import ModelManifest, check_model_fits, read_model

TOWERS, WITHOUT_RANKER, WITHOUT_BOOSTS = "redrec", "redrec_without_ranker", "redrec_without_boosts"
LIVE = "live"
SECTIONS = ("scenarios", "gains", "slices", "lists", "interests", "scenario_value")
AT_10 = (10,)
NO_MODEL: Mapping[str, Scorer] = MappingProxyType({})
VALUE_METRIC, GAIN_METRICS = "hit_rate@10", ("hit_rate@10", "ndcg@10")
MAX_USERS_REMOVED = 1000  # per scenario; each is queried once per removed scenario
Estimates = dict[str, dict[str, float | int | None]]
Metrics = dict[str, dict[str, Any]]


def evaluate(data: Path, model: Path, out: Path, live: Mapping[str, Scorer] = NO_MODEL) -> Metrics:
    """Measure `model` on `data`, write the four files into `out`, and return the metrics.

    Args:
        data: Folder written by `redrec.data.prepare`.
        model: Folder written by `redrec.training.trainer`, trained on `data`.
        out: Folder to write.
        live: The live model as a scorer of `data`, by scenario; see `redrec.bundle.live`.
    """
    trained = read_model(model)
    vocabulary, histories = read_vocabulary(data), Histories(data)
    check_model_fits(trained, model, data, vocabulary)
    config = EvaluationConfig.model_validate(trained.recipe.get("evaluation", {}))
    allowed_SN = is_allowed(DataFolder(data).items, vocabulary.scenarios)
    counts_SN = train_counts(histories, allowed_SN.shape[1], len(allowed_SN), VALIDATION)
    scorers = _scorers(model, trained, histories, allowed_SN, counts_SN)
    cases = {
        s: cases_of(histories, s, TEST, config.num_targets, MAX_USERS, trained.seed)
        for s in range(len(vocabulary.scenarios))
    }

    out.mkdir(parents=True, exist_ok=True)
    files = EvaluationFolder(out)
    metrics: Metrics = {name: {} for name in SECTIONS}
    with users_table(files.users) as write:
        for s, name in enumerate(vocabulary.scenarios):
            measured = scorers | ({LIVE: live[name]} if name in live else {})
            ranks = {m: rank_cases(scorer, histories, cases[s], s, allowed_SN[s]) for m, scorer in measured.items()}
            users = users_of(histories, cases[s], s, name)
            for model_name, model_ranks in ranks.items():
                write(users, model_name, model_ranks)
            metrics["scenarios"][name] = {m: measure(model_ranks, trained.seed) for m, model_ranks in ranks.items()}
            metrics["gains"][name] = gains(ranks, trained.seed)
            metrics["slices"][name] = by_slice(users["slice"], ranks, trained.seed)
            metrics["lists"][name] = {
                m: list_report(scorer, histories, cases[s], s, allowed_SN[s], counts_SN[s], trained.seed)
                for m, scorer in measured.items()
            }
            metrics["interests"][name] = interest_report(ranks[TOWERS], trained.num_interests, trained.seed)
            lost = scenario_value(scorers[TOWERS], histories, cases[s], ranks[TOWERS], s, allowed_SN, trained.seed)
            metrics["scenario_value"][name] = dict(zip(vocabulary.scenarios, lost, strict=True))

    write_json(files.metrics, metrics)
    files.recipe.write_text(yaml.safe_dump(trained.recipe, sort_keys=False, allow_unicode=True), encoding="utf-8")
    items_N = descriptions(DataFolder(data).items)
    write_json(files.examples, examples(scorers[TOWERS], histories, cases, vocabulary, allowed_SN, items_N))
    return metrics


def _scorers(
    model: Path, trained: ModelManifest, histories: Histories, allowed_SN: NDArray[np.bool_], counts_SN: Ints
) -> dict[str, Scorer]:
    """Return the model as served, without its ranker, without boosts too, and the baselines, by name.

    Where the model leaves out what a user has had, so do all others but own counts.
    """
    recent, plain = Popularity(histories, allowed_SN), exported_towers(model, trained.history)
    boosted = with_boosts(plain, recent, trained.boosts, trained.logit_scale)
    leaving_out = partial(without_seen, excludes_S=[weights.excludes_seen for weights in trained.boosts])
    return {
        TOWERS: with_ranker(boosted, Ranker.load(ModelFolder(model).ranker, trained.logit_scale)),
        WITHOUT_RANKER: boosted,
        WITHOUT_BOOSTS: leaving_out(plain),
        "own_counts": own_counts(recent),
        "recent_popularity": leaving_out(recent_popularity(recent)),
        "popularity": leaving_out(popularity(counts_SN)),
        "mean_of_last_n": leaving_out(mean_of_last_n(plain.embeddings_ND)),
    }


def gains(ranks: dict[str, Ranks], seed: int) -> dict[str, Estimates]:
    """Return how far the towers as served are above each other model, with intervals over the users of both."""
    measured = {model: user_metrics(of_model.rank_UT, AT_10) for model, of_model in ranks.items()}
    towers, above = measured.pop(TOWERS), {}
    for model, other in measured.items():
        gained = {metric: paired_gain(towers[metric], other[metric], seed) for metric in GAIN_METRICS}
        above[model] = {metric: gain.difference.model_dump() for metric, gain in gained.items()}
    return above


def measure(ranks: Ranks, seed: int, ks: tuple[int, ...] = KS) -> Estimates:
    """Return the estimates of one model in one scenario, by metric."""
    values = user_metrics(ranks.rank_UT, ks)
    values |= {f"{name}_unseen": value_U for name, value_U in user_metrics(ranks.rank_unseen_UT, ks).items()}
    estimates = bootstrap_means(np.stack(list(values.values()), axis=1), seed)
    return {name: estimate.model_dump() for name, estimate in zip(values, estimates, strict=True)}


def by_slice(slice_U: Sequence[str], ranks: dict[str, Ranks], seed: int) -> dict[str, dict[str, Estimates]]:
    slices: dict[str, dict[str, Estimates]] = {}
    for name in SLICES:
        is_in_U = np.array(slice_U) == name
        slices[name] = {m: measure(model_ranks.of(is_in_U), seed, AT_10) for m, model_ranks in ranks.items()}
    return slices


def scenario_value(
    scorer: Scorer,
    histories: Histories,
    cases: Sequence[Case],
    kept: Ranks,
    queried: int,
    allowed_SN: NDArray[np.bool_],
    seed: int,
) -> list[Estimates]:
    """Return, per removed scenario, the hit rate with all known events (`kept`) minus that without its events.

    The model is not trained again. A value above zero is the gain from the removed events for the users of the queried
    scenario; the interval is that of the difference on the same users.
    """
    kept_U = user_metrics(kept.rank_UT[:MAX_USERS_REMOVED], AT_10)[VALUE_METRIC]
    values = []
    for removed in range(len(allowed_SN)):
        ranks = rank_cases(scorer, histories, cases[:MAX_USERS_REMOVED], queried, allowed_SN[queried], removed)
        gain = paired_gain(kept_U, user_metrics(ranks.rank_UT, AT_10)[VALUE_METRIC], seed)
        values.append({VALUE_METRIC: gain.difference.model_dump()})
    return values
