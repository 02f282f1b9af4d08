"""Evaluate: the exported towers against the baselines, full catalog, per scenario, with intervals.

Writes three files: `metrics.json`, `users.parquet` (the ranks of every user, scenario and model, from which all
metrics follow) and `examples.json` (three users to look at). The keys of `metrics.json`, a figure being
`{metric: {"value", "low", "high", "users"}}`:

- `scenarios`: `{scenario: {model: figure}}`, the towers as served, the towers without the popularity boost, and the
  baselines. `hit_rate@10` ranks all items of the scenario, `hit_rate@10_unseen` only those new to the user, for targets
  that are new to the user.
- `slices`: `{scenario: {slice: {model: figure}}}`, the same for cold, light and heavy users, at 10 alone.
- `interests`: `{scenario: ...}`, whether the towers' interests collapsed (`redrec.evaluation.collapse`).
- `scenario_value`: `{queried: {removed: figure}}`, what the towers lose when a scenario's events are kept from them.

Shapes: U users, S scenarios, N items, T targets of a user.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redrec.data.histories import TEST, Histories, train_counts
from redrec.data.items import is_allowed, titles
from redrec.data.split import read_vocabulary
from redrec.evaluation.baselines import mean_of_last_n, popularity
from redrec.evaluation.cases import MAX_USERS, SLICES, Case, cases_of
from redrec.evaluation.collapse import interest_report
from redrec.evaluation.examples import examples
from redrec.evaluation.intervals import bootstrap_means, paired_gain
from redrec.evaluation.metrics import KS, user_metrics
from redrec.evaluation.ranking import Ranks, rank_cases
from redrec.evaluation.scorers import Scorer, exported_towers, with_popularity_boost
from redrec.evaluation.users import users_of, users_table
from redrec.folders import DataFolder, EvaluationFolder, write_json
from redrec.model.manifest import check_model_fits, read_model

TOWERS, WITHOUT_BOOST = "redrec", "redrec_without_boost"
AT_10 = (10,)
VALUE_METRIC = "hit_rate@10"
MAX_USERS_REMOVED = 1000  # of a scenario; each is queried again for every scenario that is removed
Figure = dict[str, dict[str, float | int | None]]


def evaluate(data: Path, model: Path, out: Path) -> dict[str, dict[str, Any]]:
    """Measure `model` on `data`, write the three files into `out`, and return the metrics."""
    trained = read_model(model)
    vocabulary, histories = read_vocabulary(data), Histories(data)
    check_model_fits(trained, model, data, vocabulary)
    allowed_SN = is_allowed(DataFolder(data).items, vocabulary.scenarios)
    plain = exported_towers(model, trained.history)
    towers = with_popularity_boost(
        plain, histories, TEST, allowed_SN, trained.popularity_boost_weight, trained.logit_scale
    )
    scorers = {
        TOWERS: towers,
        **({WITHOUT_BOOST: plain} if towers.boost_SN is not None else {}),
        "popularity": popularity(train_counts(histories, allowed_SN.shape[1], len(vocabulary.scenarios))),
        "mean_of_last_n": mean_of_last_n(towers.embeddings_ND),
    }
    cases = {
        s: cases_of(histories, s, TEST, trained.target_window, MAX_USERS, trained.seed)
        for s in range(len(vocabulary.scenarios))
    }
    metrics: dict[str, dict[str, Any]] = {"scenarios": {}, "slices": {}, "interests": {}, "scenario_value": {}}
    out.mkdir(parents=True, exist_ok=True)
    files = EvaluationFolder(out)
    num_interests = trained.num_interests
    with users_table(files.users) as write:
        for s, name in enumerate(vocabulary.scenarios):
            ranks = {m: rank_cases(scorer, histories, cases[s], s, allowed_SN[s]) for m, scorer in scorers.items()}
            users = users_of(histories, cases[s], s, name)
            for model_name, found in ranks.items():
                write(users, model_name, found)
            metrics["scenarios"][name] = {m: measure(found, trained.seed) for m, found in ranks.items()}
            metrics["slices"][name] = by_slice(users["slice"], ranks, trained.seed)
            metrics["interests"][name] = interest_report(ranks[TOWERS], num_interests, trained.seed)
            lost = scenario_value(towers, histories, cases[s], ranks[TOWERS], s, allowed_SN, trained.seed)
            metrics["scenario_value"][name] = dict(zip(vocabulary.scenarios, lost, strict=True))
    write_json(files.metrics, metrics)
    shown = examples(towers, histories, cases, vocabulary, allowed_SN, titles(DataFolder(data).items))
    write_json(files.examples, shown)
    return metrics


def measure(ranks: Ranks, seed: int, ks: tuple[int, ...] = KS) -> Figure:
    """Return the estimates of one model in one scenario, by metric."""
    values = user_metrics(ranks.rank_UT, ks)
    values |= {f"{name}_unseen": value_U for name, value_U in user_metrics(ranks.rank_unseen_UT, ks).items()}
    estimates = bootstrap_means(np.stack(list(values.values()), axis=1), seed)
    return {name: estimate.model_dump() for name, estimate in zip(values, estimates, strict=True)}


def by_slice(slice_U: Sequence[str], ranks: dict[str, Ranks], seed: int) -> dict[str, dict[str, Figure]]:
    return {
        name: {model: measure(found.of(np.array(slice_U) == name), seed, AT_10) for model, found in ranks.items()}
        for name in SLICES
    }


def scenario_value(
    scorer: Scorer,
    histories: Histories,
    cases: Sequence[Case],
    kept: Ranks,
    queried: int,
    allowed_SN: NDArray[np.bool_],
    seed: int,
) -> list[Figure]:
    """Return, per removed scenario, the hit rate with all known events (`kept`) minus that without the scenario's.

    The model stays as it was trained. A value above zero is what the removed events are worth to the users of the
    queried scenario; the interval is that of the difference on the same users.
    """
    kept_U = user_metrics(kept.rank_UT[:MAX_USERS_REMOVED], AT_10)[VALUE_METRIC]
    figures = []
    for removed in range(len(allowed_SN)):
        ranks = rank_cases(scorer, histories, cases[:MAX_USERS_REMOVED], queried, allowed_SN[queried], removed)
        gain = paired_gain(kept_U, user_metrics(ranks.rank_UT, AT_10)[VALUE_METRIC], seed)
        figures.append({VALUE_METRIC: gain.difference.model_dump()})
    return figures
