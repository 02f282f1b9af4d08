"""What a finished command tells a person: results as they are, where the files are, and the next command."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader

from redrec.data.findings import Finding
from redrec.data.forget import Forgotten, Person
from redrec.data.mapping import EVENT_MAPPINGS, ITEM_MAPPINGS
from redrec.data.prepare import DataQuality, TableQuality

HEADLINE = "hit_rate@10"


class Run(NamedTuple):
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
            "bundle": str(self.folder / "bundle"),
            "bundle_id": self.bundle_id,
            "metrics": self.metrics,
            "data_quality": self.data_quality.model_dump(),
            "drift": {scenario: found["verdict"] for scenario, found in self.drift.items()},
        }


def read_run(folder: Path) -> Run:
    def content(name: str) -> Any:
        return json.loads((folder / name).read_text(encoding="utf-8"))

    return Run(
        folder,
        content("bundle/bundle.json")["id"],
        DataQuality.model_validate(content("data_quality.json")),
        content("metrics.json"),
        content("drift/drift.json"),
        content("examples.json"),
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows in columns, the first row being the header.

    >>> print(table([["scenario", "events"], ["ads", "7"]]))
    scenario  events
    ads       7
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def quality_text(quality: DataQuality) -> str:
    """Mapping, counts, and every reason for quarantine with example rows."""
    lines = [
        *table_quality_lines("events", quality.events, {m.name: m.meaning for m in EVENT_MAPPINGS}),
        *table_quality_lines("items", quality.items, {m.name: m.meaning for m in ITEM_MAPPINGS}),
    ]
    counts = [["scenario", "events", "users", "items"]]
    counts += [[name, f"{s.events:,}", f"{s.users:,}", f"{s.items:,}"] for name, s in quality.scenarios.items()]
    return "\n".join([*lines, "", table(counts), *finding_lines(quality.findings)])


def finding_lines(findings: Sequence[Finding]) -> Iterable[str]:
    if findings:
        yield "\nWorth a look:"
    for found in findings:
        yield f"  {found.count:,} of {found.of:,} {found.what}. {found.advice}"


def quality_page(quality: DataQuality, out: Path) -> None:
    """Write the report as one HTML file that loads nothing else."""
    template = Environment(loader=PackageLoader("pipelines", "."), autoescape=True).get_template("quality.html")
    meanings = {mapping.name: mapping.meaning for mapping in (*EVENT_MAPPINGS, *ITEM_MAPPINGS)}
    out.write_text(template.render(quality=quality, meanings=meanings), encoding="utf-8")


def table_quality_lines(name: str, quality: TableQuality, meanings: Mapping[str, str]) -> Iterable[str]:
    yield f"{name}: {quality.kept:,} of {quality.rows:,} rows kept"
    yield f"  mapping {quality.mapping}: {meanings[quality.mapping]}"
    for reason, count in quality.quarantined.items():
        yield f"  {count:,} in quarantine: {reason}"
        yield from (f"    {row}" for row in quality.examples[reason])


def pushed_text(counts: Mapping[str, int], refused: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """How many events were added, and for each reason of refusal how many and an example."""
    lines = [f"{counts['added']:,} events added, {counts['known']:,} known, {counts['late']:,} too late to be kept."]
    for reason, events in refused.items():
        lines.append(f"{len(events):,} refused: {reason}\n  such as {json.dumps(events[0])}")
    return "\n".join([*lines, "\nThe next `redrec query` of these users sees them."])


def forgotten_text(person: Person, found: Mapping[str, Forgotten]) -> str:
    """What each place held of the person and holds now, and what is not the command's to change."""
    rows = [["place", "removed", "left"], *([place, str(of[0]), str(of[1])] for place, of in found.items())]
    who = f"User {person.user_id}{f' in {person.scenario}' if person.scenario else ''}"
    is_found = any(of.removed for of in found.values())
    told = f"{who}, read again after it was removed" if is_found else f"{who} was found nowhere"
    return (
        f"{told}:\n{indented(table(rows))}\n\n"
        "Your own event table, other run folders, reports kept elsewhere, backups and what the model learned are not "
        "touched.\nNext: remove the user from the event table and train again:\n"
        f"  {program()} run --events EVENTS --items ITEMS --out RUN"
    )


def metrics_text(metrics: Mapping[str, Any]) -> str:
    """One row per scenario, the model beside the baselines, each with its interval."""
    scenarios = metrics["scenarios"]
    models = list(dict.fromkeys(model for figures in scenarios.values() for model in figures))
    rows = [["scenario", "users", *models]]
    for scenario, figures in scenarios.items():
        users = next(iter(figures.values()))[HEADLINE]["users"]
        rows.append([scenario, f"{users:,}", *(interval(figures[model][HEADLINE]) for model in models)])
    return f"{HEADLINE} over the full catalogue of the scenario [95 % interval over users]:\n{indented(table(rows))}"


def value_text(metrics: Mapping[str, Any]) -> str:
    """One row per asked scenario, one column per scenario whose events are kept from the towers."""
    worth = metrics["scenario_value"]
    rows = [["asked", *(f"without {removed}" for removed in worth)]]
    rows += [[asked, *(interval(lost[removed][HEADLINE]) for removed in worth)] for asked, lost in worth.items()]
    return (
        f"What a scenario's events are worth: {HEADLINE} that the towers lose without them [95 % interval]:\n"
        f"{indented(table(rows))}"
    )


def interval(figure: Mapping[str, Any]) -> str:
    """Return value and interval, or that no user had a target.

    >>> interval({"value": 0.1234, "low": 0.1, "high": 0.15, "users": 70})
    '0.123 [0.100, 0.150]'
    >>> interval({"value": None, "low": None, "high": None, "users": 0})
    'no users'
    """
    if figure["value"] is None:
        return "no users"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


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
    verdicts = "\n".join(f"  {scenario}: {found['verdict']} ({found['reason']})" for scenario, found in drift.items())
    return f"Drift, training window against the newest window:\n{verdicts}"


def files_text(run: Run) -> str:
    parts = [
        ["bundle/", f"release bundle {run.bundle_id}"],
        ["metrics.json", "every metric, model and interval; cold, light and heavy users; collapse of the interests"],
        ["users.parquet", "the ranks of every user's targets, by model"],
        ["data_quality.json", "rows kept and set aside; the rows are in quarantine.parquet"],
        ["drift/", "a report per scenario, to open in a browser"],
        ["features/", "users' histories, as served"],
        ["log.txt", "everything the steps said"],
    ]
    found = [part for part in parts if (run.folder / part[0]).exists()]
    return f"Files in {run.folder}:\n{indented(table(found))}"


def next_text(run: Run, user: str, scenario: str) -> str:
    return (
        "Next, serve it, and ask it from another terminal:\n"
        f"  {program()} serve --bundle {run.folder / 'bundle'}\n"
        f"  {program()} query --user {shlex.quote(user)} --scenario {shlex.quote(scenario)}"
    )


def program() -> str:
    """Return how this shell calls redrec: by name, or by its path where its environment is not active."""
    if shutil.which("redrec"):
        return "redrec"
    return os.path.relpath(Path(sys.executable).with_name("redrec"))


def run_text(run: Run) -> str:
    return "\n\n".join(
        [
            quality_text(run.data_quality),
            metrics_text(run.metrics),
            value_text(run.metrics),
            drift_text(run.drift),
            files_text(run),
            next_text(run, run.examples[0]["user_id"], next(iter(run.metrics["scenarios"]))),
        ]
    )


def answer_text(answer: Mapping[str, Any]) -> str:
    """The items of one answer, best first, and where they came from."""
    rows = [["rank", "item", "score", "interest", "title"]]
    for rank, item in enumerate(answer["items"], start=1):
        found_by = [f"{item['score']:.4f}", str(item["interest"])] if item["score"] is not None else ["-", "-"]
        rows.append([str(rank), item["item_id"], *found_by, item["title"]])
    why = f" ({answer['reason']})" if answer["reason"] else ""
    return f"{table(rows)}\n\nsource: {answer['source']}{why}, bundle {answer['bundle_id']}"
