"""Reports: one Evidently page per scenario, and one page with all verdicts and reports for Kubeflow.

Scenarios are separated before Evidently reads them: a pooled report misses drift in a small scenario, and Evidently's
own grouping silently repeats the value of the whole data for every group.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from monitoring.snapshots import HEADER, columns_of, row_of
from redrec.data.scenarios import slug
from redrec.drift.verdicts import Drift, ScenarioDrift
from redrec.folders import DriftFolder

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

MAX_REPORTS = 8  # on one page: each holds Evidently's program, 5 MB


class ScenarioSection(NamedTuple):
    """One scenario of the page; `report` is the content of its own page, empty if it is left out."""

    name: str
    scenario: ScenarioDrift
    rows: list[tuple[str, ...]]
    report: str


def write_reports(snapshots: "Mapping[str, Snapshot]", out: Path) -> None:
    """Write the page of each scenario into the folder `out` (`redrec.folders.DriftFolder`)."""
    folder = DriftFolder(out)
    for name, snapshot in snapshots.items():
        folder.report(slug(name)).write_text(snapshot.get_html_str(as_iframe=False), encoding="utf-8")


def report_page(drift: Drift, out: Path) -> str:
    """Return the verdicts and the reports in `out` as one page that loads no other file: Kubeflow shows one file only.

    Scenarios that have changed come first, and only the first MAX_REPORTS have their report on the page.
    """
    from jinja2 import Environment, PackageLoader

    order = sorted(drift.scenarios, key=lambda name: drift.scenarios[name].verdict == "stable")
    sections = [_section(name, drift.scenarios[name], out, number) for number, name in enumerate(order)]
    template = Environment(loader=PackageLoader("monitoring", "."), autoescape=True).get_template("page.html")
    return template.render(drift=drift, sections=sections, header=HEADER)


def _section(name: str, scenario: ScenarioDrift, out: Path, number: int) -> ScenarioSection:
    rows = [row_of(column, drift) for column, drift in columns_of(scenario).items()]
    report = DriftFolder(out).report(slug(name)).read_text(encoding="utf-8") if number < MAX_REPORTS else ""
    return ScenarioSection(name, scenario, rows, report)
