"""Data quality report: as text, and as one HTML page."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cli.command import write_page
from cli.table import table
from redrec.data.findings import Finding
from redrec.data.mapping import EVENT_MAPPINGS, ITEM_MAPPINGS
from redrec.data.prepare import DataQuality, TableQuality


def quality_text(quality: DataQuality) -> str:
    """Return mapping, counts, and each reason for quarantine with example rows."""
    lines = [
        *table_quality_lines("events", quality.events, {m.name: m.meaning for m in EVENT_MAPPINGS}),
        f"  timestamp: {quality.times.what}",
        *table_quality_lines("items", quality.items, {m.name: m.meaning for m in ITEM_MAPPINGS}),
    ]
    counts = [["scenario", "events", "users", "items", "first event", "last event (UTC)"]]
    for name, s in quality.scenarios.items():
        counts.append(
            [name, f"{s.events:,}", f"{s.users:,}", f"{s.items:,}", utc_text(s.first_ms), utc_text(s.last_ms)]
        )
    return "\n".join([*lines, "", table(counts), *finding_lines(quality.findings)])


def utc_text(time_ms: int) -> str:
    """Return the time to the minute.

    >>> utc_text(1_709_296_215_123)
    '2024-03-01 12:30'
    """
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%d %H:%M}"


def finding_lines(findings: Sequence[Finding]) -> Iterable[str]:
    if findings:
        yield "\nWorth a look:"
    for finding in findings:
        yield f"  {finding.count:,} of {finding.of:,} {finding.what}. {finding.advice}"


def quality_page(quality: DataQuality, out: Path) -> None:
    """Write the report as one HTML file."""
    meanings = {mapping.name: mapping.meaning for mapping in (*EVENT_MAPPINGS, *ITEM_MAPPINGS)}
    write_page(out, "quality.html", quality=quality, meanings=meanings, utc_text=utc_text)


def table_quality_lines(name: str, quality: TableQuality, meanings: Mapping[str, str]) -> Iterable[str]:
    yield f"{name}: {quality.kept:,} of {quality.rows:,} rows kept"
    yield f"  mapping {quality.mapping}: {meanings[quality.mapping]}"
    for reason, count in quality.quarantined.items():
        yield f"  {count:,} in quarantine: {reason}"
        yield from (f"    {row}" for row in quality.examples[reason])
