"""Run result: the text and JSON of a finished run: its figures, its files, and the next command."""

import shlex
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from cli.command import HEADLINE, program
from cli.labels import labels
from cli.quality import quality_text
from cli.table import indented, interval, table
from redrec.bundle.manifest import read_manifest
from redrec.config import load_config
from redrec.data.quality import DataQuality
from redrec.drift.verdicts import Drift
from redrec.folders import DriftFolder, RunFolder, read_json

NUM_SHOWN = 5  # of a scenario's ten recommended items


class RunResult(NamedTuple):
    """The results in a run folder."""

    folder: Path
    bundle_id: str
    data_quality: DataQuality
    metrics: dict[str, Any]
    drift: Drift
    examples: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return {
            "run": str(self.folder),
            "bundle": str(RunFolder(self.folder).bundle),
            "bundle_id": self.bundle_id,
            "metrics": self.metrics,
            "data_quality": self.data_quality.model_dump(),
            "drift": self.drift.verdicts,
        }


def read_run(folder: Path) -> RunResult:
    run = RunFolder(folder)
    return RunResult(
        folder,
        read_manifest(run.bundle).id,
        load_config(DataQuality, run.quality),
        read_json(run.metrics),
        load_config(Drift, DriftFolder(run.drift).verdicts),
        read_json(run.examples),
    )


def metrics_text(metrics: Mapping[str, Any]) -> str:
    """Return a table with one row per scenario and model, and how far the towers are above each other model."""
    rows = [["scenario", "users", "model", HEADLINE, "redrec minus it"]]
    for scenario, figures in metrics["scenarios"].items():
        names = [scenario, f"{next(iter(figures.values()))[HEADLINE]['users']:,}"]
        for model, estimates in figures.items():
            gain = metrics["gains"][scenario].get(model)
            rows.append([*names, model, interval(estimates[HEADLINE]), interval(gain[HEADLINE]) if gain else ""])
            names = ["", ""]
    return f"{HEADLINE} over the full catalogue of the scenario [95 % interval over users]:\n{indented(table(rows))}"


def value_text(metrics: Mapping[str, Any]) -> str:
    """Return a table with one row per queried scenario and one column per scenario removed from the histories."""
    values = metrics["scenario_value"]
    rows = [["queried", *(f"without {removed}" for removed in values)]]
    for queried, losses in values.items():
        rows.append([queried, *(interval(losses[removed][HEADLINE]) for removed in values)])
    return (
        f"Value of a scenario's events: {HEADLINE} that the model loses without them [95 % interval]:\n"
        f"{indented(table(rows))}"
    )


def examples_text(examples: Sequence[Mapping[str, Any]]) -> str:
    """Return each user's last events and the best items of each scenario; `*` marks an item of the test window."""
    if not examples:
        return "No user has an event in the test window, so there is no example."
    lines = [
        f"Three users, newest event first, with the best {NUM_SHOWN} items of each scenario. * marks one that the user "
        "interacted with in the test window, also further down, at its rank among ten:"
    ]
    for user in examples:
        label = labels([*user["history"], *chain.from_iterable(user["recommended"].values())])
        lines += ["", f"  user {user['user_id']}"]
        lines += [f"    {event['scenario']} {event['action']}: {label[event['item_id']]}" for event in user["history"]]
        for scenario, items in user["recommended"].items():
            lines += [f"    recommended in {scenario}:"]
            for rank, item in enumerate(items, start=1):
                if rank <= NUM_SHOWN or item["hit"]:
                    lines.append(f"      {'*' if item['hit'] else ' '} {rank:2d} {label[item['item_id']]}")
    return "\n".join(lines)


def drift_text(drift: Drift) -> str:
    lines = []
    for name, one in drift.scenarios.items():
        action = f"; {one.action}: {one.action_reason}" if one.action != "none" else ""
        lines.append(f"  {name}: {one.verdict} ({one.reason}){action}")
    return "\n".join(["Drift of the newest window:", *lines])


def files_text(result: RunResult) -> str:
    run = RunFolder(result.folder)
    contents = {
        run.bundle: f"release bundle {result.bundle_id}",
        run.metrics: "metrics of all models with intervals; cold, light and heavy users; collapse of the interests",
        run.users: "the ranks of every user's targets, by model",
        run.examples: "the last events of three users, and what each scenario recommends to them",
        run.recipe: "all choices of the training; give it as --recipe to train so again",
        run.quality: f"rows kept and quarantined; the quarantined rows are in {run.quarantine.name}",
        run.quality_gate: "whether the model may be deployed, per scenario with reasons",
        run.drift: "a report per scenario, for the browser",
        run.features: "users' histories, as the server reads them",
        run.log: "all output of the steps",
    }
    rows = []
    for path, content in contents.items():
        if path.exists():
            rows.append([f"{path.name}/" if path.is_dir() else path.name, content])
    return f"Files in {result.folder}:\n{indented(table(rows))}"


def next_text(result: RunResult) -> str:
    user = result.examples[0]["user_id"] if result.examples else "U"
    scenario = next(iter(result.metrics["scenarios"]))
    return (
        "Next, serve it, and query it from another terminal:\n"
        f"  {program()} serve --run {result.folder}\n"
        f"  {program()} query --user {shlex.quote(user)} --scenario {shlex.quote(scenario)}"
    )


def run_text(result: RunResult) -> str:
    return "\n\n".join(
        [
            quality_text(result.data_quality),
            metrics_text(result.metrics),
            value_text(result.metrics),
            drift_text(result.drift),
            files_text(result),
            next_text(result),
        ]
    )
