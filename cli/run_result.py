"""Run result: what a finished run tells a person: its figures, where the files are, and the next command."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cli.command import program
from cli.quality import quality_text
from cli.table import indented, interval, table
from redrec.bundle.manifest import BundleManifest
from redrec.config import load_config
from redrec.data.prepare import DataQuality
from redrec.folders import BundleFolder, DriftFolder, RunFolder, read_json

HEADLINE = "hit_rate@10"


class RunResult(NamedTuple):
    """A finished run folder, read back."""

    folder: Path
    bundle_id: str
    data_quality: DataQuality
    metrics: dict[str, Any]
    drift: dict[str, Any]
    examples: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        return {
            "run": str(self.folder),
            "bundle": str(RunFolder(self.folder).bundle),
            "bundle_id": self.bundle_id,
            "metrics": self.metrics,
            "data_quality": self.data_quality.model_dump(),
            "drift": {scenario: verdict["verdict"] for scenario, verdict in self.drift.items()},
        }


def read_run(folder: Path) -> RunResult:
    run = RunFolder(folder)
    return RunResult(
        folder,
        load_config(BundleManifest, BundleFolder(run.bundle).manifest).id,
        load_config(DataQuality, run.quality),
        read_json(run.metrics),
        read_json(DriftFolder(run.drift).verdicts),
        read_json(run.examples),
    )


def metrics_text(metrics: Mapping[str, Any]) -> str:
    """One row per scenario, the model beside the baselines, each with its interval."""
    scenarios = metrics["scenarios"]
    models = list(next(iter(scenarios.values())))
    rows = [["scenario", "users", *models]]
    for scenario, figures in scenarios.items():
        users = next(iter(figures.values()))[HEADLINE]["users"]
        rows.append([scenario, f"{users:,}", *(interval(figures[model][HEADLINE]) for model in models)])
    return f"{HEADLINE} over the full catalogue of the scenario [95 % interval over users]:\n{indented(table(rows))}"


def value_text(metrics: Mapping[str, Any]) -> str:
    """One row per queried scenario, one column per scenario whose events are kept from the towers."""
    worth = metrics["scenario_value"]
    rows = [["queried", *(f"without {removed}" for removed in worth)]]
    for queried, lost in worth.items():
        rows.append([queried, *(interval(lost[removed][HEADLINE]) for removed in worth)])
    return (
        f"What a scenario's events are worth: {HEADLINE} that the towers lose without them [95 % interval]:\n"
        f"{indented(table(rows))}"
    )


def examples_text(examples: Sequence[Mapping[str, Any]]) -> str:
    """Per user what they did last and what each scenario would show; `*` marks what they did touch afterwards."""
    lines = ["Three users, newest event first; * marks an item that the user touched in the test window:"]
    for user in examples:
        lines += ["", f"  user {user['user_id']}"]
        lines += [f"    {event['scenario']} {event['action']}: {event['title']}" for event in user["history"]]
        for scenario, items in user["recommended"].items():
            lines += [f"    recommended in {scenario}:"]
            lines += [f"      {'*' if item['hit'] else ' '} {item['title']}" for item in items]
    return "\n".join(lines)


def drift_text(drift: Mapping[str, Any]) -> str:
    lines = [f"  {scenario}: {verdict['verdict']} ({verdict['reason']})" for scenario, verdict in drift.items()]
    verdicts = "\n".join(lines)
    return f"Drift, training window against the newest window:\n{verdicts}"


def files_text(result: RunResult) -> str:
    run = RunFolder(result.folder)
    contents = {
        run.bundle: f"release bundle {result.bundle_id}",
        run.metrics: "every metric, model and interval; cold, light and heavy users; collapse of the interests",
        run.users: "the ranks of every user's targets, by model",
        run.quality: f"rows kept and set aside; the rows are in {run.quarantine.name}",
        run.drift: "a report per scenario, to open in a browser",
        run.features: "users' histories, as served",
        run.log: "everything the steps said",
    }
    rows = []
    for path, content in contents.items():
        if path.exists():
            rows.append([f"{path.name}/" if path.is_dir() else path.name, content])
    return f"Files in {result.folder}:\n{indented(table(rows))}"


def next_text(result: RunResult) -> str:
    user, scenario = result.examples[0]["user_id"], next(iter(result.metrics["scenarios"]))
    return (
        "Next, serve it, and query it from another terminal:\n"
        f"  {program()} serve --bundle {RunFolder(result.folder).bundle}\n"
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
