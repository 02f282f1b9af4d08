"""Defaults: the recipe that `redrec run` takes when none is given, on every set, beside the baselines.

    python -m tests.benchmarks.defaults --set food-kitchen --seed 0 --json

Nothing is chosen for a set: `Recipe()` alone, or with the changes of `--change`, to see what another choice would bring.
`food-kitchen-untitled` is `food-kitchen` with empty titles. Test split of `DataConfig()`: one cutoff, the next ten items of
each user, all items of the scenario ranked. With `--earlier` the log ends where its test period begins, so that a choice is
made on another period than the one it is reported on; `--earlier 2` ends it a test period before that, and so on. Instead
of a set it takes the history of any git clone, `--repository PATH`. Trained models stay in `tests/benchmarks/results/defaults`.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cli.demo_run import DemoConfig, write_tables
from redrec.config import changed
from redrec.data.prepare import prepare
from redrec.data.split import read_split
from redrec.evaluation.evaluate import evaluate
from redrec.folders import DataFolder, EvaluationFolder, read_json
from redrec.training.recipe import Recipe
from redrec.training.trainer import train
from tests.benchmarks.measure import METRICS, ROOT, commit, say
from tests.benchmarks.quality import datasets, edits

RESULTS = ROOT / "tests" / "benchmarks" / "results" / "defaults"
GENERATED = ("world", "complete-journey")
UNTITLED = "-untitled"


def tables_of(name: str, repository: Path | None) -> tuple[Path, Path]:
    folder = RESULTS / name / "input"
    if repository is not None:
        return edits.write_tables(repository, folder)
    if name in GENERATED:
        return write_tables(name, DemoConfig().world, folder)
    events, items = datasets.write_tables(name.removesuffix(UNTITLED), folder)
    if name.endswith(UNTITLED):
        table = pq.read_table(items)
        blank = pa.array([""] * len(table), pa.string())
        pq.write_table(table.set_column(table.column_names.index("title"), "title", blank), items)
    return events, items


def prepared(name: str, recipe: Recipe, num_earlier: int, repository: Path | None) -> Path:
    """Return the data folder of a set, of the events before its last `num_earlier` test periods."""
    data = RESULTS / name / "data"
    if not data.exists():
        prepare(*tables_of(name, repository), data, recipe.data)
    for n in range(num_earlier):
        earlier = RESULTS / name / f"earlier-{n + 1}"
        if not earlier.exists():
            prepare(before_test(data, earlier.with_suffix(".parquet")), DataFolder(data).items, earlier, recipe.data)
        data = earlier
    return data


def before_test(data: Path, out: Path) -> Path:
    """Write the events of a data folder before its test period."""
    table = pq.read_table(DataFolder(data).events)
    start = pa.scalar(read_split(data).test_start_ms, pa.timestamp("ms", "UTC")).cast(table["timestamp"].type)
    pq.write_table(table.filter(pc.less(table["timestamp"], start)), out)
    return out


def measured(name: str, recipe: Recipe, num_earlier: int, repository: Path | None) -> dict[str, Any]:
    """Return the metrics of the recipe on a set, and the CPU seconds of its training."""
    data = prepared(name, recipe, num_earlier, repository)
    out = data.with_name(f"{data.name}-models") / hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:8]
    files, spent = EvaluationFolder(out / "evaluation"), out / "spent.json"
    if not files.metrics.exists():
        say(f"{name} | seed {recipe.seed}")
        cpu = time.process_time()
        train(data, out, recipe)
        spent.write_text(json.dumps({"cpu_s": round(time.process_time() - cpu)}))
        evaluate(data, out, files.metrics.parent)
    return {**read_json(files.metrics), **read_json(spent)}


def shown(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return each model's figures and how far the default is above it, per scenario."""
    result: dict[str, Any] = {"cpu_s": metrics["cpu_s"]}
    for scenario, models in metrics["scenarios"].items():
        of_models: dict[str, Any] = {"cosine": metrics["interests"][scenario]["cosine"]["value"]}
        for model, estimates in models.items():
            figures = {metric: estimates[metric]["value"] for metric in METRICS}
            gain = metrics["gains"][scenario].get(model)
            of_models[model] = {**figures, "gain": gain[METRICS[0]] if gain else None}
        result[scenario] = of_models
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.defaults")
    real = [*datasets.SETS, f"food-kitchen{UNTITLED}"]
    parser.add_argument("--set", choices=[*real, *GENERATED], default="world")
    parser.add_argument("--repository", type=Path, help="a git clone, for its history instead of a set")
    parser.add_argument("--seed", type=int, default=0)
    leave_out = "leave the events of the last N test periods out, and test before them (default: 0; without N: 1)"
    parser.add_argument("--earlier", type=int, nargs="?", const=1, default=0, metavar="N", help=leave_out)
    parser.add_argument("--change", action="append", default=[], help="path.of.field=JSON; may be given again")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    name = f"edits-{arguments.repository.absolute().name}" if arguments.repository else arguments.set
    recipe = changed(Recipe(), [f"seed={arguments.seed}", *arguments.change])
    report = {"benchmark": "defaults", "commit": commit(), **vars(arguments), "set": name}
    report["repository"] = str(arguments.repository)
    report["result"] = shown(measured(name, recipe, arguments.earlier, arguments.repository))
    print(json.dumps(report, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
