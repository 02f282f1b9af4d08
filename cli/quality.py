"""Data quality report: as text, and as one HTML page."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.command import write_page
from cli.table import table
from redrec.config import InputError
from redrec.data.findings import Finding
from redrec.data.mapping import EVENT_MAPPINGS, ITEM_MAPPINGS, ColumnMapping
from redrec.data.profile import TableProfile
from redrec.data.quality import BadRowsError, DataQuality, TableQuality


def quality_text(quality: DataQuality) -> str:
    """Return mapping, counts, and each reason for quarantine with example rows."""
    lines = [
        *table_quality_lines("events", quality.events),
        f"  timestamp: {quality.times.what}",
        *table_quality_lines("items", quality.items),
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


def quality_page(
    out: Path, tables: Sequence[TableProfile], quality: DataQuality | None, error: InputError | None
) -> None:
    """Write the report as one HTML file: the whole one, or what is known of tables that are refused."""
    checked = {"events": quality.events, "items": quality.items} if quality else {}
    if isinstance(error, BadRowsError):
        checked[error.name] = error.quality
    write_page(out, "quality.html", quality=quality, tables=tables, checked=checked, error=error, utc_text=utc_text)


def schemas() -> dict[str, Any]:
    """Return the columns and the meaning of each known schema, by table."""
    return {"events": [_schema(m) for m in EVENT_MAPPINGS], "items": [_schema(m) for m in ITEM_MAPPINGS]}


def _schema(mapping: ColumnMapping) -> dict[str, Any]:
    return {"schema": mapping.name, "columns": sorted(mapping.needs), "meaning": mapping.meaning}


def schemas_text() -> str:
    lines = ["A table with these columns is read as it is; others may be there too."]
    for name, known in schemas().items():
        lines.append(f"\n{name}:")
        for schema in known:
            lines += [f"  {schema['schema']}: {', '.join(schema['columns'])}", f"    {schema['meaning']}"]
    return "\n".join(lines)


def table_quality_lines(name: str, quality: TableQuality) -> Iterable[str]:
    meanings = {mapping.name: mapping.meaning for mapping in (EVENT_MAPPINGS if name == "events" else ITEM_MAPPINGS)}
    yield f"{name}: {quality.kept:,} of {quality.rows:,} rows kept"
    yield f"  mapping {quality.mapping}: {meanings[quality.mapping]}"
    yield f"  columns used: {', '.join(quality.used)}"
    if quality.ignored:
        yield f"  columns ignored: {', '.join(quality.ignored)}"
    yield from (f"  {notice}" for notice in quality.notices)
    for reason, count in quality.quarantined.items():
        yield f"  {count:,} in quarantine: {reason}"
        yield from (f"    {row}" for row in quality.examples[reason])
