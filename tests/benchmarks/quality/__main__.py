"""Quality: train a preset on a real data set and measure it under a protocol, per scenario, over seeds.

    python -m tests.benchmarks.quality --set food-kitchen --preset redrec --seeds 3 --protocol global_time --json

Protocols: `abxi` ranks the last event among 999 sampled items of its scenario, as ABXI's table does; `full_loo` ranks
the last event of each (user, scenario) among all items of the scenario that are new to the user; `global_time` ranks
the next events after one cutoff among all items of the scenario. Ranks of every user are written to
`tests/benchmarks/results`.

`abxi_tie_safe` and `full_loo_tie_safe` are the same with the events of a day in random order, and without the targets
whose day is that of the user's event before it (`abxi`: of all scenarios, `full_loo`: in the target's scenario).

Shapes: U users, T targets, R seeds.
"""

import argparse
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.data.histories import TEST, VALIDATION, Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.baselines import mean_of_last_n, popularity
from redrec.evaluation.cases import Case, cases_of
from redrec.evaluation.intervals import bootstrap_means
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import Ranks, rank_among, rank_cases
from redrec.evaluation.scorers import Scorer, exported_towers, with_popularity_boost
from redrec.folders import ModelFolder
from redrec.history import Ints
from redrec.index.popularity_boost import PopularityBoostConfig
from redrec.model.manifest import read_model
from redrec.training.recipe import Recipe
from redrec.training.trainer import train
from tests.benchmarks.measure import ROOT, commit, say
from tests.benchmarks.quality.datasets import (
    SETS,
    Measured,
    Protocol,
    data_folder,
    has_validation,
    plain,
    single_scenario_data,
    text_vectors,
)
from tests.benchmarks.quality.next_ids import next_ids
from tests.benchmarks.quality.recipes import PRESETS, TUNED, minilm, recipe, words
from tests.benchmarks.quality.referee import rectools_sasrec
from tests.benchmarks.quality.ties import without_ties

RESULTS = ROOT / "tests" / "benchmarks" / "results"
KS = (5, 10, 50, 100)
NUM_SAMPLED = 999
TARGET_WINDOW = 5  # of global_time
MAX_USERS = 100_000
RIVALS = ("popularity", "mean_of_last_n", "next_ids", "rectools_sasrec")


class Trial:
    """One data set under one protocol, the same for every model."""

    def __init__(self, name: str, protocol: Protocol, items: str, measured: Measured = "test") -> None:
        self.name, self.protocol, self.items, self.measured = name, protocol, items, measured
        self.data = data_folder(name, protocol, measured, RESULTS)
        self.scenarios = read_vocabulary(self.data).scenarios
        self.histories = Histories(self.data)
        self.allowed_SN = is_allowed(self.data / "items.parquet", self.scenarios)
        window = TARGET_WINDOW if protocol == "global_time" else 1
        split = TEST if measured == "test" else VALIDATION
        # Popularity is counted before this split; like the published rows, the others use the training split alone.
        self.split_of_boost = split if protocol == "global_time" else VALIDATION
        self.cases = [cases_of(self.histories, s, split, window, MAX_USERS, seed=0) for s in range(len(self.scenarios))]
        if protocol != plain(protocol):
            every = range(len(self.scenarios))
            self.cases = [
                without_ties(cases, self.histories, [s] if plain(protocol) == "full_loo" else every)
                for s, cases in enumerate(self.cases)
            ]

    def ranks(self, scorer: Scorer, scenario: int) -> Ints:
        """Return the ranks of the scenario's targets, `rank_UT`."""
        if plain(self.protocol) == "abxi":
            return self._among_sampled(scorer, scenario)
        ranks = self.full_ranks(scorer, scenario)
        return ranks.rank_unseen_UT if plain(self.protocol) == "full_loo" else ranks.rank_UT

    def full_ranks(self, scorer: Scorer, scenario: int) -> Ranks:
        return rank_cases(scorer, self.histories, self.cases[scenario], scenario, self.allowed_SN[scenario])

    def _among_sampled(self, scorer: Scorer, scenario: int) -> Ints:
        rng, cases = np.random.default_rng(0), self.cases[scenario]
        moment_ms_U = np.array([case.moment_ms for case in cases])
        interests_UQD = scorer.interests_of([case.known(self.histories) for case in cases], scenario, moment_ms_U)
        others_UX = np.stack([self._sampled(case, scenario, rng) for case in cases])
        target_U = np.array([case.target_T[0] for case in cases])
        boost_N = scorer.boost_of(scenario)
        return rank_among(interests_UQD, scorer.embeddings_ND, target_U, others_UX, boost_N)[:, None]

    def _sampled(self, case: Case, scenario: int, rng: np.random.Generator) -> Ints:
        """Return items of the scenario that the user never interacts with; so the target is not among them."""
        begin, end = self.histories.begin_U[case.user], self.histories.end_U[case.user]
        own_L = np.asarray(self.histories.item_N[begin:end])
        drawn = rng.permutation(np.flatnonzero(self.allowed_SN[scenario]))[: NUM_SAMPLED + len(own_L)]
        return drawn[~np.isin(drawn, own_L)][:NUM_SAMPLED]


def changed(config: Recipe, changes: Sequence[str]) -> Recipe:
    """Return the recipe with fields set, each change being `path.of.field=JSON`."""
    content = config.model_dump(mode="json")
    for change in changes:
        path, value = change.split("=", 1)
        *parents, field = path.split(".")
        fields = content
        for parent in parents:
            fields = fields[parent]
        fields[field] = json.loads(value)
    return Recipe.model_validate(content)


def scorers_of(trial: Trial, preset: str, seed: int, changes: Sequence[str]) -> list[Scorer]:
    """Return one scorer per scenario; a model that no earlier run has trained is trained."""
    tuning, is_validated = TUNED[trial.name, plain(trial.protocol)], has_validation(trial.protocol, trial.measured)
    num_scenarios, num_items = trial.allowed_SN.shape
    if preset == "popularity":
        return [popularity(train_counts(trial.histories, num_items, num_scenarios))] * num_scenarios
    if preset == "next_ids":
        return [next_ids(trial.allowed_SN)] * num_scenarios
    if preset == "mean_of_last_n":
        return [mean_of_last_n(scorer.embeddings_ND) for scorer in scorers_of(trial, "redrec", seed, changes)]
    if preset == "rectools_sasrec":
        cases = list(chain.from_iterable(trial.cases))
        folder = trial.data.parent / preset / str(seed)
        num_epochs = None if is_validated else tuning.referee_epochs
        scorer = rectools_sasrec(trial.histories, cases, num_items, num_epochs, seed, folder, RESULTS / "env")
        return [scorer] * num_scenarios
    encoder = minilm(text_vectors(trial.name, RESULTS)) if trial.items == "minilm" else words(trial.protocol)
    config = changed(recipe(preset, encoder, tuning, is_validated, seed), changes)
    trained = config.model_copy(update={"popularity_boost": PopularityBoostConfig()})  # not used in training
    runs = trial.data.parent / f"{preset}-{hashlib.sha256(trained.model_dump_json().encode()).hexdigest()[:8]}"
    if preset != "single_scenario":
        return [_trained(trial, trial.data, runs / str(seed), config)] * num_scenarios
    scorers = []
    for s, name in enumerate(trial.scenarios):
        data = single_scenario_data(trial.data, s, trial.data.parent / f"data-{name}")
        scorers.append(_trained(trial, data, runs / f"{seed}-{s}", config))
    return scorers


def _trained(trial: Trial, data: Path, out: Path, config: Recipe) -> Scorer:
    if not ModelFolder(out).manifest.exists():
        wall, cpu = time.perf_counter(), time.process_time()
        train(data, out, config)
        spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        (out / "spent.json").write_text(json.dumps(spent))
    return with_popularity_boost(
        exported_towers(out, config.history),
        trial.histories,
        trial.split_of_boost,
        trial.allowed_SN,
        config.popularity_boost.weight,
        read_model(out).logit_scale,
    )


def run(trial: Trial, preset: str, seeds: int, changes: Sequence[str]) -> dict[str, Any]:
    """Return the metrics per scenario: the mean over seeds of each user's, with intervals over users."""
    per_seed: list[list[dict[str, NDArray[np.float64]]]] = []
    for seed in range(seeds):
        say(f"{trial.name} | {trial.protocol} | {preset} | seed {seed}")
        scorers = scorers_of(trial, preset, seed, changes)
        ranks = [trial.ranks(scorer, s) for s, scorer in enumerate(scorers)]
        _write_ranks(trial, "-".join([preset, trial.items, trial.measured, *changes, str(seed)]), ranks)
        per_seed.append([user_metrics(rank_UT, KS) for rank_UT in ranks])
    result = {}
    for s, name in enumerate(trial.scenarios):
        result[name] = _figures([metrics[s] for metrics in per_seed])
    return result


def _figures(seeds: list[dict[str, NDArray[np.float64]]]) -> dict[str, Any]:
    metrics_UM = np.mean([np.stack(list(metrics.values()), axis=1) for metrics in seeds], axis=0)
    spread_M = np.std([_user_means(metrics) for metrics in seeds], axis=0)
    estimates = bootstrap_means(metrics_UM, seed=0)
    return {
        name: {**estimate.model_dump(), "seed_sd": float(sd)}
        for name, estimate, sd in zip(seeds[0], estimates, spread_M, strict=True)
    }


def _user_means(metrics: dict[str, NDArray[np.float64]]) -> list[np.floating]:
    return [np.nanmean(value_U) for value_U in metrics.values()]


def _write_ranks(trial: Trial, name: str, ranks: list[Ints]) -> None:
    """Write every user's ranks; all metrics and paired gains are computed from them."""
    tables = []
    for scenario, cases, rank_UT in zip(trial.scenarios, trial.cases, ranks, strict=True):
        columns = {
            "user_id": [trial.histories.user_ids[case.user] for case in cases],
            "scenario": [scenario] * len(cases),
            "ranks": pa.array(list(rank_UT), pa.list_(pa.int64())),
        }
        tables.append(pa.table(columns))
    folder = RESULTS / "ranks" / f"{trial.name}-{trial.protocol}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.concat_tables(tables), folder / f"{name}.parquet")


def _change(text: str) -> str:
    try:
        json.loads(text.partition("=")[2])
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not path.of.field=JSON; write 0.3 as a number, not .3") from None
    return text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quality")
    parser.add_argument("--set", choices=list(SETS), default="food-kitchen")
    parser.add_argument("--preset", choices=[*PRESETS, *RIVALS], default="redrec")
    parser.add_argument("--protocol", choices=get_args(Protocol), default="global_time")
    parser.add_argument("--items", choices=["words", "minilm"], default="words", help="the encoder (default: words)")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 to SEEDS - 1 (default: 1)")
    parser.add_argument("--measured", choices=get_args(Measured), default="test", help="validation is for tuning")
    parser.add_argument(
        "--change", action="append", default=[], type=_change, help="a field of the recipe: history.policy='\"concat\"'"
    )
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # training's own progress
    if (arguments.set, plain(arguments.protocol)) not in TUNED:
        parser.error(f"no choices for this set and protocol; there are some for {', '.join(map('/'.join, TUNED))}")
    trial = Trial(arguments.set, arguments.protocol, arguments.items, arguments.measured)
    scenarios = run(trial, arguments.preset, arguments.seeds, arguments.change)
    result = {"benchmark": "quality", "commit": commit(), **vars(arguments), "scenarios": scenarios}
    print(json.dumps(result, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
