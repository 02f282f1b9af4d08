"""Quality: train a preset on a real data set and measure it under a protocol, per scenario, over seeds.

    python -m tests.benchmarks.quality --set food-kitchen --preset redrec --seeds 3 --protocol global_time --json

Protocols: `abxi` ranks the last event among 999 sampled items of its scenario, as ABXI's table does, so without the
ranker, which orders what a search returns; `full_loo` ranks
the last event of each (user, scenario) among all items of the scenario that are new to the user; `global_time` is the
split and the targets of `redrec run`: the next events after one cutoff, among all items of the scenario. There choices
are made on the validation split, which then is trained on too, by ours and by rivals. Ranks of every user are written
to `tests/benchmarks/results`.

`abxi_tie_safe` and `full_loo_tie_safe` are the same with the events of a day in random order, and without the targets
whose day is that of the user's event before it (`abxi`: of all scenarios, `full_loo`: in the target's scenario).
Rivals are other libraries' models, each with the candidate that was the best on validation (`rivals.CHOSEN`). `bsarec`
is in no package: `--checkout` is a checkout of https://github.com/yehjin-shin/BSARec.

Shapes: U users, T targets, R seeds.
"""

import argparse
import hashlib
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.config import InputError, changed
from redrec.data.histories import TEST, TRAIN, VALIDATION, Histories, train_counts
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.baselines import mean_of_last_n, own_counts, popularity, recent_popularity
from redrec.evaluation.cases import Case, EvaluationConfig, cases_of
from redrec.evaluation.contenders import queries_of, with_ranker
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import Ranks, rank_among, rank_cases
from redrec.evaluation.scorers import Scorer, exported_towers, with_boosts, without_seen
from redrec.folders import ModelFolder
from redrec.history import Ints
from redrec.index.ranker import Ranker
from redrec.model.manifest import read_model
from redrec.training.recipe import Recipe
from redrec.training.trainer import train
from tests.benchmarks.measure import ROOT, commit, over_users_and_seeds, say
from tests.benchmarks.quality.datasets import (
    SETS,
    Measured,
    OfScenario,
    Protocol,
    data_folder,
    plain,
    single_scenario_data,
    text_vectors,
    trains_on_validation,
)
from tests.benchmarks.quality.next_ids import next_ids
from tests.benchmarks.quality.recipes import PRESETS, SINGLE, recipe, with_minilm
from tests.benchmarks.quality.referee import Referee
from tests.benchmarks.quality.rivals import CANDIDATES, Rival, candidate, with_checkout
from tests.benchmarks.quality.ties import without_ties
from tests.benchmarks.referees.contract import RefereeConfig

RESULTS = ROOT / "tests" / "benchmarks" / "results"
KS = (5, 10, 50, 100)
NUM_SAMPLED = 999
MAX_USERS = 100_000
BASELINES = ("popularity", "recent_popularity", "own_counts", "mean_of_last_n", "next_ids")


class Trial:
    """One data set under one protocol: the same users and targets for every model.

    A single-scenario model is shown a user's events of its scenario, any other model all of them.
    """

    def __init__(
        self,
        name: str,
        protocol: Protocol,
        measured: Measured = "test",
        scenario: str | None = None,
        preset: str | None = None,
    ) -> None:
        self.name, self.protocol, self.measured = name, protocol, measured
        self.data = data_folder(name, protocol, RESULTS)
        self.scenarios = read_vocabulary(self.data).scenarios
        self.measured_scenarios = [s for s, known in enumerate(self.scenarios) if scenario in (None, known)]
        if not self.measured_scenarios:
            raise InputError(f"{name} has no scenario {scenario}; it has {', '.join(self.scenarios)}.")
        self.histories = Histories(self.data)
        num_scenarios = len(self.scenarios)
        self.shown_S = [self.histories] * num_scenarios
        if preset == SINGLE:
            self.shown_S = [OfScenario(self.data, s) for s in range(num_scenarios)]
        self.allowed_SN = is_allowed(self.data / "items.parquet", self.scenarios)
        window = EvaluationConfig().num_targets if protocol == "global_time" else 1
        split = TEST if measured == "test" else VALIDATION
        self.popularity = Popularity(self.histories, self.allowed_SN)
        self.cases = [cases_of(self.histories, s, split, window, MAX_USERS, seed=0) for s in range(num_scenarios)]
        if protocol != plain(protocol):
            every = range(num_scenarios)
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
        shown, cases = self.shown_S[scenario], self.cases[scenario]
        return rank_cases(scorer, shown, cases, scenario, self.allowed_SN[scenario])

    def without_seen(self, scorer: Scorer) -> Scorer:
        """Return the scorer as `redrec` is under a global split: no user of these sets comes back to an item."""
        return without_seen(scorer, [True] * len(self.scenarios)) if self.protocol == "global_time" else scorer

    def _among_sampled(self, scorer: Scorer, scenario: int) -> Ints:
        rng, cases = np.random.default_rng(0), self.cases[scenario]
        queries = queries_of(scorer, self.shown_S[scenario], cases, scenario)
        interests_UQD = np.stack([query.interests_QD for query in queries])
        sampled = [np.append(case.target_T[:1], self._sampled(case, scenario, rng)) for case in cases]
        if scorer.boosts is None:
            return rank_among(interests_UQD, scorer.embeddings_ND, np.stack(sampled))[:, None]
        of_all = scorer.boosts.of_all
        boosts = [of_all(query)[items_X] for query, items_X in zip(queries, sampled, strict=True)]
        return rank_among(interests_UQD, scorer.embeddings_ND, np.stack(sampled), np.stack(boosts))[:, None]

    def _sampled(self, case: Case, scenario: int, rng: np.random.Generator) -> Ints:
        """Return items of the scenario that the user never interacts with; so the target is not among them."""
        begin, end = self.histories.begin_U[case.user], self.histories.end_U[case.user]
        own_L = np.asarray(self.histories.item_N[begin:end])
        drawn = rng.permutation(np.flatnonzero(self.allowed_SN[scenario]))[: NUM_SAMPLED + len(own_L)]
        return drawn[~np.isin(drawn, own_L)][:NUM_SAMPLED]


def scorers_of(trial: Trial, preset: str, seed: int, config: Recipe, without: str | None) -> list[Scorer]:
    """Return one scorer per measured scenario; a model that no earlier run has trained is trained."""
    num_scenarios, num_items = trial.allowed_SN.shape
    num_measured = len(trial.measured_scenarios)
    if preset == "popularity":
        until = VALIDATION if trains_on_validation(trial.protocol, trial.measured) else TRAIN
        counts_SN = train_counts(trial.histories, num_items, num_scenarios, until)
        return [trial.without_seen(popularity(counts_SN))] * num_measured
    if preset == "recent_popularity":
        return [trial.without_seen(recent_popularity(trial.popularity))] * num_measured
    if preset == "own_counts":
        return [own_counts(trial.popularity)] * num_measured
    if preset == "next_ids":
        return [next_ids(trial.allowed_SN)] * num_measured
    if preset == "mean_of_last_n":
        towers = scorers_of(trial, "redrec", seed, config, without="boosts")
        return [trial.without_seen(mean_of_last_n(scorer.embeddings_ND)) for scorer in towers]
    config = config.model_copy(update={"seed": seed})
    out = trial.data.parent / f"{preset}-{hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:8]}"
    if preset != SINGLE:
        return [_trained(trial, trial.data, out, config, without)] * num_measured
    scorers = []
    for s in trial.measured_scenarios:
        data = single_scenario_data(trial.data, s, trial.data.parent / f"data-{trial.scenarios[s]}")
        scorers.append(_trained(trial, data, out / trial.scenarios[s], config, without))
    return scorers


def _trained(trial: Trial, data: Path, out: Path, config: Recipe, without: str | None) -> Scorer:
    if not ModelFolder(out).manifest.exists():
        wall, cpu = time.perf_counter(), time.process_time()
        train(data, out, config)
        spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        (out / "spent.json").write_text(json.dumps(spent))
    model, towers = read_model(out), exported_towers(out, config.history)
    boosted = with_boosts(towers, trial.popularity, model.boosts, model.logit_scale)
    served = with_ranker(boosted, Ranker.load(ModelFolder(out).ranker, model.logit_scale))
    return {
        None: served,
        "ranker": boosted,
        "boosts": without_seen(towers, [weights.excludes_seen for weights in model.boosts]),
    }[without]


def rival_scorers(trial: Trial, rival: Rival, seed: int) -> list[Scorer]:
    """Return one scorer per measured scenario; a rival that no earlier run has trained is trained."""
    if not rival.is_per_scenario:
        return [_rival_scorer(trial, rival, seed, None)] * len(trial.measured_scenarios)
    return [_rival_scorer(trial, rival, seed, scenario) for scenario in trial.measured_scenarios]


def _rival_scorer(trial: Trial, rival: Rival, seed: int, scenario: int | None) -> Scorer:
    if not trains_on_validation(trial.protocol, trial.measured):
        return _trained_rival(trial, rival, seed, scenario, TRAIN)[0]
    _, num_epochs = _trained_rival(trial, rival, 0, scenario, TRAIN)
    rival = rival.model_copy(update={"max_epochs": num_epochs})
    return _trained_rival(trial, rival, seed, scenario, VALIDATION)[0]


def _trained_rival(trial: Trial, rival: Rival, seed: int, scenario: int | None, until: int) -> tuple[Scorer, int]:
    """Return the rival as a scorer, and how many epochs led to its weights."""
    settings = rival.model_dump(exclude={"is_per_scenario"})
    hides_known = trial.protocol != "global_time"  # as in `Trial.ranks`
    config = RefereeConfig(num_items=trial.allowed_SN.shape[1], hides_known=hides_known, seed=seed, **settings)
    referee = Referee(trial.histories, len(trial.scenarios), scenario, until)
    cases = [case for s in referee.scenarios for case in trial.cases[s]]
    name = f"{rival.model}-{hashlib.sha256(rival.model_dump_json().encode()).hexdigest()[:8]}-{trial.measured}-{until}"
    folder = trial.data.parent / name / (str(seed) if scenario is None else f"{seed}-{scenario}")
    training = referee.train(config, cases, folder, RESULTS / "env")
    return trial.without_seen(referee.scorer(cases, folder)), training.best_epoch + 1


def run(trial: Trial, name: str, scorers_of_seed: Callable[[int], list[Scorer]], seeds: int) -> dict[str, Any]:
    """Return the metrics per scenario, with intervals over users and seeds."""
    per_seed: list[list[dict[str, NDArray[np.float64]]]] = []
    for seed in range(seeds):
        say(f"{trial.name} | {trial.protocol} | {name} | seed {seed}")
        scorers = zip(trial.measured_scenarios, scorers_of_seed(seed), strict=True)
        ranks = [trial.ranks(scorer, s) for s, scorer in scorers]
        _write_ranks(trial, f"{name}-{seed}", ranks)
        per_seed.append([user_metrics(rank_UT, KS) for rank_UT in ranks])
    result = {}
    for index, s in enumerate(trial.measured_scenarios):
        result[trial.scenarios[s]] = _figures([metrics[index] for metrics in per_seed])
    return result


def _figures(seeds: list[dict[str, NDArray[np.float64]]]) -> dict[str, Any]:
    figures = {}
    for name in seeds[0]:
        values_RU = np.stack([metrics[name] for metrics in seeds])
        seed_sd = float(np.std(np.nanmean(values_RU, axis=1)))
        figures[name] = {**over_users_and_seeds(values_RU), "users": values_RU.shape[1], "seed_sd": seed_sd}
    return figures


def _write_ranks(trial: Trial, name: str, ranks: list[Ints]) -> None:
    """Write every user's ranks; all metrics and paired gains are computed from them."""
    tables = []
    for s, rank_UT in zip(trial.measured_scenarios, ranks, strict=True):
        scenario, cases = trial.scenarios[s], trial.cases[s]
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


def _rival(arguments: argparse.Namespace) -> Rival:
    rival = candidate(arguments.preset, arguments.set, arguments.protocol, arguments.candidate)
    if rival.model == "bsarec":
        rival = with_checkout(rival, arguments.checkout)
    return changed(rival, arguments.change)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quality")
    parser.add_argument("--set", choices=list(SETS), default="food-kitchen")
    parser.add_argument("--preset", choices=[*PRESETS, *BASELINES, *CANDIDATES], default="redrec")
    parser.add_argument("--protocol", choices=get_args(Protocol), default="global_time")
    parser.add_argument("--scenario", help="the only one to measure, and to train single models for (default: all)")
    parser.add_argument("--items", choices=["words", "minilm"], default="words", help="the encoder (default: words)")
    parser.add_argument("--without", choices=["ranker", "boosts"], help="boosts: the towers alone (default: as served)")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 to SEEDS - 1 (default: 1)")
    parser.add_argument("--measured", choices=get_args(Measured), default="test", help="validation is for tuning")
    parser.add_argument(
        "--change",
        action="append",
        default=[],
        type=_change,
        help="a field of the recipe, history.policy='\"concat\"', or of the rival, dropout=0.3",
    )
    parser.add_argument("--candidate", help="of a rival, by name (default: the one chosen on validation)")
    parser.add_argument("--checkout", type=Path, help="of bsarec's repository")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # training's own progress
    try:
        scorers_of_seed = _scorers_of_seed(arguments)
        trial = Trial(arguments.set, arguments.protocol, arguments.measured, arguments.scenario, arguments.preset)
    except InputError as error:
        parser.error(str(error))
    scenarios = run(trial, row_name(arguments), lambda seed: scorers_of_seed(trial, seed), arguments.seeds)
    options = {key: str(value) if isinstance(value, Path) else value for key, value in vars(arguments).items()}
    result = {"benchmark": "quality", "commit": commit(), **options, "scenarios": scenarios}
    print(json.dumps(result, indent=None if arguments.json else 1))


def row_name(arguments: argparse.Namespace) -> str:
    """Return the name of a row's rank files: preset, items, split, and what else is given."""
    described = [arguments.preset, arguments.items, arguments.measured, *arguments.change]
    less = f"without-{arguments.without}" if arguments.without else ""
    return "-".join([*described, *filter(None, [less, arguments.candidate, arguments.scenario])])


def _scorers_of_seed(arguments: argparse.Namespace) -> Callable[[Trial, int], list[Scorer]]:
    preset, changes = arguments.preset, arguments.change
    if preset in CANDIDATES:
        rival = _rival(arguments)
        return lambda trial, seed: rival_scorers(trial, rival, seed)
    config = recipe(preset, arguments.protocol, arguments.measured, changes)
    if arguments.items == "minilm":
        config = with_minilm(config, text_vectors(arguments.set, RESULTS))
    return lambda trial, seed: scorers_of(trial, preset, seed, config, arguments.without)


if __name__ == "__main__":
    main()
