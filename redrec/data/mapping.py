"""Column mappings: a table of a known public schema, told in the contract's columns.

A mapping is recognised by its columns alone and named in the data quality report, so that nobody wonders which
column became the scenario.
"""

from collections.abc import Callable
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from redrec.data import columns as c
from redrec.data.tables import from_epoch_ms, require_columns


class Mapping(NamedTuple):
    """One known schema of one table."""

    name: str
    needs: frozenset[str]
    meaning: str
    apply: Callable[[ir.Table], ir.Table]


def _amazon_events(table: ir.Table) -> ir.Table:
    """Days become milliseconds, and the position keeps the order of the events of one day."""
    position = table["position"] if "position" in table.columns else ibis.literal(0)
    milliseconds = _whole(table["timestamp"]) * 1000 + _whole(position)
    return table.select(
        **{
            c.USER_ID: table[c.USER_ID],
            c.ITEM_ID: table[c.ITEM_ID],
            c.SCENARIO: table["domain"],
            c.ACTION: ibis.literal("review"),
            c.TIMESTAMP: from_epoch_ms(milliseconds),
        }
    )


def _whole(column: ir.Value) -> ir.IntegerValue:
    return column.try_cast("float64").cast("int64")  # text such as 1400000000.0


def _amazon_items(table: ir.Table) -> ir.Table:
    mapped = table.mutate(**{c.SCENARIOS: ibis.array([table["domain"]])})
    return mapped.select(*[name for name in c.ITEM_COLUMNS if name in mapped.columns])


EVENT_MAPPINGS = (
    Mapping("contract", frozenset(c.EVENT_COLUMNS), "columns as in the contract", lambda table: table),
    Mapping(
        "amazon-reviews",
        frozenset({c.USER_ID, c.ITEM_ID, "domain", "timestamp"}),
        "scenario <- domain; action <- 'review'; timestamp <- timestamp (Unix seconds) plus position (as milliseconds)",
        _amazon_events,
    ),
)
ITEM_MAPPINGS = (
    Mapping(
        "amazon-reviews",
        frozenset({c.ITEM_ID, "domain", c.TITLE}),
        "scenarios <- [domain]; title <- title",
        _amazon_items,
    ),
    Mapping("contract", frozenset({c.ITEM_ID, c.TITLE}), "columns as in the contract", lambda table: table),
)


def recognise(table: ir.Table, mappings: tuple[Mapping, ...], name: str) -> Mapping:
    """Return the first mapping whose columns are all there.

    Raises:
        InputError: None fits; the message names what the contract misses.
    """
    for mapping in mappings:
        if mapping.needs <= set(table.columns):
            return mapping
    contract = next(mapping for mapping in mappings if mapping.name == "contract")
    order = c.EVENT_COLUMNS if name == "events" else (c.ITEM_ID, c.TITLE)
    require_columns(table, tuple(column for column in order if column in contract.needs), name)
    raise AssertionError("require_columns names what is missing")
