"""Defaults: the recipe that `redrec run` takes when none is given, on every set, beside the baselines.

    python -m tests.benchmarks.defaults --set food-kitchen --earlier 0 1 --seed 0 1 --json

Nothing is chosen for a set: `Recipe()` alone, or with the changes of `--change`, to see what another choice would bring.
`food-kitchen-untitled` is `food-kitchen` with empty titles. Test split of `DataConfig()`: one cutoff, the next ten items of
each user, all items of the scenario ranked. With `--earlier 1` the log ends where its test period begins, so that a choice is
made on another period than the one it is reported on; `--earlier 2` ends it a test period before that, and so on. Of several
cutoffs or seeds `all` has the figures of all together: a user's is the mean of theirs, and the interval is over users. Instead
of a set it takes the history of any git clone, `--repository PATH`. Trained models stay in `tests/benchmarks/results/defaults`.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from itertools import product, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cli.demo_run import DemoConfig, write_tables
from redrec.config import changed
from redrec.data.prepare import prepare
from redrec.data.split import read_split
from redrec.evaluation.evaluate import AT_10, TOWERS, evaluate
from redrec.evaluation.metrics import user_metrics
from redrec.folders import DataFolder, EvaluationFolder, read_json
from redrec.intervals import paired_gain
from redrec.training.recipe import Recipe
from redrec.training.trainer import train
from tests.benchmarks.measure import METRICS, ROOT, commit, say
from tests.benchmarks.quality import datasets, edits

RESULTS = ROOT / "tests" / "benchmarks" / "results" / "defaults"
GENERATED = ("world", "complete-journey")
UNTITLED = "-untitled"


class Log(NamedTuple):
    """A set, or the history of a git clone."""

    name: str
    repository: Path | None

    def write_tables(self, folder: Path) -> tuple[Path, Path]:
        if self.repository is not None:
            return edits.write_tables(self.repository, folder)
        if self.name in GENERATED:
            return write_tables(self.name, DemoConfig().world, folder)
        events, items = datasets.write_tables(self.name.removesuffix(UNTITLED), folder)
        if self.name.endswith(UNTITLED):
            table = pq.read_table(items)
            blank = pa.array([""] * len(table), pa.string())
            pq.write_table(table.set_column(table.column_names.index("title"), "title", blank), items)
        return events, items

    def prepared(self, recipe: Recipe, num_earlier: int) -> Path:
        """Return the data folder of the events before the last `num_earlier` test periods."""
        folder = RESULTS / self.name
        data = folder / "data"
        if not data.exists():
            prepare(*self.write_tables(folder / "input"), data, recipe.data)
        for n in range(num_earlier):
            earlier = folder / f"earlier-{n + 1}"
            if not earlier.exists():
                events = before_test(data, earlier.with_suffix(".parquet"))
                prepare(events, DataFolder(data).items, earlier, recipe.data)
            data = earlier
        return data


def before_test(data: Path, out: Path) -> Path:
    """Write the events of a data folder before its test period."""
    table = pq.read_table(DataFolder(data).events)
    start = pa.scalar(read_split(data).test_start_ms, pa.timestamp("ms", "UTC")).cast(table["timestamp"].type)
    pq.write_table(table.filter(pc.less(table["timestamp"], start)), out)
    return out


def evaluated(log: Log, recipe: Recipe, num_earlier: int) -> EvaluationFolder:
    """Return the evaluation of the recipe on a log; a model that no earlier run has trained is trained."""
    data = log.prepared(recipe, num_earlier)
    out = data.with_name(f"{data.name}-models") / hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:8]
    files = EvaluationFolder(out / "evaluation")
    if not files.metrics.exists():
        say(f"{log.name} | earlier {num_earlier} | seed {recipe.seed}")
        cpu = time.process_time()
        train(data, out, recipe)
        (out / "spent.json").write_text(json.dumps({"cpu_s": round(time.process_time() - cpu)}))
        evaluate(data, out, files.path)
    return files


def shown(files: EvaluationFolder) -> dict[str, Any]:
    """Return each model's figures and how far the default is above it, per scenario, and the training's CPU seconds."""
    metrics, result = read_json(files.metrics), read_json(files.path.parent / "spent.json")
    for scenario, models in metrics["scenarios"].items():
        of_models: dict[str, Any] = {"cosine": metrics["interests"][scenario]["cosine"]["value"]}
        for model, estimates in models.items():
            figures = {metric: estimates[metric]["value"] for metric in METRICS}
            gain = metrics["gains"][scenario].get(model)
            of_models[model] = {**figures, "gain": gain[METRICS[0]] if gain else None}
        result[scenario] = of_models
    return result


def together(runs: Sequence[EvaluationFolder]) -> dict[str, Any]:
    """Return the figures of several runs, per scenario: a user's is the mean over the runs that measured them."""
    of_users = pd.concat([users_metrics(files) for files in runs])
    means = of_users.groupby(["scenario", "model", "user_id"])[list(METRICS)].mean()
    result: dict[str, Any] = {}
    for scenario in means.index.unique("scenario"):
        by_model = means.loc[scenario].unstack("model")  # one row per user
        result[scenario] = {model: _beside_towers(by_model, model) for model in by_model[METRICS[0]]}
    return result


def users_metrics(files: EvaluationFolder) -> pd.DataFrame:
    """Return the metrics of each user, scenario and model of a run."""
    table = pq.read_table(files.users, columns=["user_id", "scenario", "model", "ranks"])
    rank_UT = np.array(list(zip_longest(*table["ranks"].to_pylist(), fillvalue=0))).T
    return table.drop(["ranks"]).to_pandas().assign(**user_metrics(rank_UT, AT_10))


def _beside_towers(by_model: pd.DataFrame, model: str) -> dict[str, Any]:
    figures = {metric: float(by_model[metric][model].mean()) for metric in METRICS}
    if model == TOWERS:
        return {**figures, "gain": None}
    towers_U, other_U = (by_model[METRICS[0]][name].to_numpy() for name in (TOWERS, model))
    return {**figures, "gain": paired_gain(towers_U, other_U, seed=0).difference.model_dump()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.defaults")
    real = [*datasets.SETS, f"food-kitchen{UNTITLED}"]
    parser.add_argument("--set", choices=[*real, *GENERATED], default="world")
    parser.add_argument("--repository", type=Path, help="a git clone, for its history instead of a set")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    leave_out = "leave the events of the last N test periods out, and test before them (default: 0)"
    parser.add_argument("--earlier", type=int, nargs="+", default=[0], metavar="N", help=leave_out)
    parser.add_argument("--change", action="append", default=[], help="path.of.field=JSON; may be given again")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    repository = arguments.repository and arguments.repository.absolute()
    log = Log(f"edits-{repository.name}" if repository else arguments.set, repository)
    report = {"benchmark": "defaults", "commit": commit(), **vars(arguments), "set": log.name}
    report |= {"repository": str(repository), "runs": []}
    files = []
    for num_earlier, seed in product(arguments.earlier, arguments.seed):
        files.append(evaluated(log, changed(Recipe(), [f"seed={seed}", *arguments.change]), num_earlier))
        report["runs"].append({"earlier": num_earlier, "seed": seed, "result": shown(files[-1])})
    report["all"] = together(files)
    print(json.dumps(report, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
