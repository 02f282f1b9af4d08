"""Column mappings: from the columns of known public schemas to those of the contract.

A mapping is recognised by its columns alone; the data quality report names it, so users can see which column became the
scenario.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from redrec.data import columns as c
from redrec.data.tables import require_columns


class ColumnMapping(NamedTuple):
    """One known schema of one table."""

    name: str
    needs: frozenset[str]
    meaning: str
    apply: Callable[[ir.Table], ir.Table]


def _amazon_events(table: ir.Table) -> ir.Table:
    """The times are days; `position` keeps the order of the events of one day."""
    order = {c.ORDER: _whole(table["position"])} if "position" in table.columns else {}
    return _events(table, c.USER_ID, c.ITEM_ID, table["domain"], ibis.literal("review"), table["timestamp"], **order)


def _movielens_events(table: ir.Table) -> ir.Table:
    return _events(table, "userId", "movieId", ibis.literal("movies"), ibis.literal("rating"), table["timestamp"])


def _kuairand_events(table: ir.Table) -> ir.Table:
    scenario = ibis.literal("tab_") + table["tab"].cast("string")
    action = (_whole(table["is_click"]) == 1).ifelse("click", "view")
    return _events(table, "user_id", "video_id", scenario, action, table["time_ms"])


def _red_mmu_events(lists: dict[str, str]) -> Callable[[ir.Table], ir.Table]:
    """Return the function that turns a user's lists, one per scenario, into rows; an event is a struct."""

    def apply(table: ir.Table) -> ir.Table:
        return ibis.union(*(_red_mmu_list(table, name, scenario) for scenario, name in lists.items()))

    return apply


def _red_mmu_list(table: ir.Table, name: str, scenario: str) -> ir.Table:
    rows = table.select(user=table[_first_of(table.columns, RED_MMU_USERS)], event=table[name].unnest())
    fields = rows.event.type().names
    rows = rows.mutate(item=rows.event[_first_of(fields, RED_MMU_ITEMS)])
    flags = [(rows.event[flag].cast("int64") == 1, action) for flag, action in RED_MMU_ACTIONS if flag in fields]
    action = ibis.cases(*flags, else_="view") if flags else ibis.literal("view")
    return _events(rows, "user", "item", ibis.literal(scenario), action, rows.event["timestamp"])


def _events(
    table: ir.Table, user: str, item: str, scenario: ir.Value, action: ir.Value, time: ir.Value, **more: ir.Value
) -> ir.Table:
    values = (table[user], table[item], scenario, action, time)
    return table.select(**dict(zip(c.EVENT_COLUMNS, values, strict=True)), **more)


def _whole(column: ir.Value) -> ir.IntegerValue:
    return column.try_cast("float64").cast("int64")  # text such as 1400000000.0


def _first_of(columns: Iterable[str], names: Sequence[str]) -> str:
    """Return the first of `names` that is a column; if none is, `names[0]`, for the error that it is missing."""
    return next((name for name in names if name in set(columns)), names[0])


def _amazon_items(table: ir.Table) -> ir.Table:
    mapped = table.mutate(**{c.SCENARIOS: ibis.array([table["domain"]])})
    return mapped.select(*[name for name in c.ITEM_COLUMNS if name in mapped.columns])


def _movielens_items(table: ir.Table) -> ir.Table:
    return table.select(item_id=table["movieId"], title=table[c.TITLE], tags=table["genres"].split("|"))


def _kuairand_items(table: ir.Table) -> ir.Table:
    tags = table["tag"].cast("string").split(",")
    return table.select(item_id=table["video_id"], title=ibis.null("string"), tags=tags, category=table["video_type"])


def _red_mmu_items(table: ir.Table) -> ir.Table:
    return table.select(item_id=table["note_idx"], title=ibis.null("string"))


RED_MMU_USERS = ("user_idx", "encrypted_user_id", "user_id")
RED_MMU_ITEMS = ("note_idx", "note_id")
RED_MMU_ACTIONS = (
    ("is_like", "like"),
    ("is_collect", "collect"),
    ("is_comment", "comment"),
    ("is_share", "share"),
    ("is_click_profile", "profile"),
)
RED_MMU_LISTS = (  # the release names them in three ways
    {"homefeed": "homefeed_list", "ads": "ads_list"},
    {"homefeed": "homefeed_noteid_lastn", "ads": "ads_click_noteid_lastn"},
    {"ads": "ads_click_noteid_list"},
)
EVENT_MAPPINGS = (
    ColumnMapping("contract", frozenset(c.EVENT_COLUMNS), "columns as in the contract", lambda table: table),
    ColumnMapping(
        "amazon-reviews",
        frozenset({c.USER_ID, c.ITEM_ID, "domain", "timestamp"}),
        "scenario <- domain; action <- 'review'; timestamp <- timestamp, and position as its milliseconds",
        _amazon_events,
    ),
    ColumnMapping(
        "movielens",
        frozenset({"userId", "movieId", "rating", "timestamp"}),
        "user_id <- userId; item_id <- movieId; scenario <- 'movies'; action <- 'rating'",
        _movielens_events,
    ),
    ColumnMapping(
        "kuairand",
        frozenset({"user_id", "video_id", "tab", "time_ms", "is_click"}),
        "item_id <- video_id; scenario <- tab; action <- click if is_click, else view; timestamp <- time_ms",
        _kuairand_events,
    ),
    *(
        ColumnMapping(
            "red-mmu",
            frozenset(lists.values()),
            "one event per struct of a user's lists of homefeed and ads; action <- the first flag set, else view",
            _red_mmu_events(lists),
        )
        for lists in RED_MMU_LISTS
    ),
)
ITEM_MAPPINGS = (
    ColumnMapping(
        "amazon-reviews",
        frozenset({c.ITEM_ID, "domain", c.TITLE}),
        "scenarios <- [domain]; title <- title",
        _amazon_items,
    ),
    ColumnMapping("contract", frozenset({c.ITEM_ID, c.TITLE}), "columns as in the contract", lambda table: table),
    ColumnMapping(
        "movielens",
        frozenset({"movieId", c.TITLE, "genres"}),
        "item_id <- movieId; tags <- genres, split at |",
        _movielens_items,
    ),
    ColumnMapping(
        "kuairand",
        frozenset({"video_id", "video_type", "tag"}),
        "item_id <- video_id; tags <- tag, split at commas; category <- video_type; no title",
        _kuairand_items,
    ),
    ColumnMapping(
        "red-mmu",
        frozenset({"note_idx", "note_feature"}),
        "item_id <- note_idx; no title: give note_feature to the encoder `vectors`",
        _red_mmu_items,
    ),
)


def recognise(table: ir.Table, mappings: tuple[ColumnMapping, ...], name: str) -> ColumnMapping:
    """Return the first mapping that has all its columns in the table.

    Raises:
        InputError: None fits; the message names the columns of the contract that are missing.
    """
    for mapping in mappings:
        if mapping.needs <= set(table.columns):
            return mapping
    contract = next(mapping for mapping in mappings if mapping.name == "contract")
    order = c.EVENT_COLUMNS if name == "events" else (c.ITEM_ID, c.TITLE)
    require_columns(table, tuple(column for column in order if column in contract.needs), name)
    raise AssertionError("require_columns names what is missing")
