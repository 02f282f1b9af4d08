"""Column mappings: from the columns of known public schemas to those of the contract.

A mapping is recognised by its columns alone; the data quality report names it, so users can see which column became the
scenario. The columns are those of the published files:

| schema           | files                                                                                          |
|------------------|------------------------------------------------------------------------------------------------|
| `amazon-2023`    | reviews and metadata of 2023: JSONL, or CSV with a header                                      |
| `amazon-2018`    | reviews and metadata of 2014 and 2018: JSONL; the metadata of 2014 are no JSON                 |
| `amazon-reviews` | reviews of several domains in one CSV, as of the cross-domain papers                           |
| `movielens`      | `ratings.csv` and `movies.csv` of 20M, 25M, 32M and latest; older ones have no header          |
| `kuairand`       | `log_*.csv` and `video_features_basic_*.csv`                                                   |
| `red-mmu`        | `multiscene_lastn` and `note_embeddings`                                                       |
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from redrec.config import InputError
from redrec.data import columns as c


class ColumnMapping(NamedTuple):
    """One known schema of one table."""

    name: str
    needs: frozenset[str]
    meaning: str
    apply: Callable[[ir.Table], ir.Table]
    optional: frozenset[str] = frozenset()  # columns that are used if they are there


def _amazon_domains(table: ir.Table) -> ir.Table:
    """The times are days; `position` keeps the order of the events of one day."""
    order = {c.ORDER: _whole(table["position"])} if "position" in table.columns else {}
    return _events(table, c.USER_ID, c.ITEM_ID, table["domain"], ibis.literal("review"), table["timestamp"], **order)


def _amazon_reviews(user: str, item: str, time: str) -> Callable[[ir.Table], ir.Table]:
    def apply(table: ir.Table) -> ir.Table:
        scenario = table["domain"] if "domain" in table.columns else ibis.literal("reviews")
        return _events(table, user, item, scenario, ibis.literal("review"), table[time])

    return apply


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


def _contract_events(table: ir.Table) -> ir.Table:
    return table.select(*c.EVENT_COLUMNS)


def _contract_items(table: ir.Table) -> ir.Table:
    return table.select(*[name for name in c.ITEM_COLUMNS if name in table.columns])


def _amazon_domain_items(table: ir.Table) -> ir.Table:
    kept = [name for name in c.ITEM_COLUMNS if name in table.columns and name != c.SCENARIOS]
    return table.select(*kept, **{c.SCENARIOS: ibis.array([table["domain"]])})


def _amazon_items(item: str, category: str, tags: Sequence[str]) -> Callable[[ir.Table], ir.Table]:
    def apply(table: ir.Table) -> ir.Table:
        optional = {
            c.BODY: _text(table["description"]) if "description" in table.columns else None,
            c.CATEGORY: table[category] if category in table.columns else None,
            c.TAGS: next((_flat(table[name]) for name in tags if name in table.columns), None),
        }
        known = {name: column for name, column in optional.items() if column is not None}
        return table.select(**{c.ITEM_ID: table[item], c.TITLE: table[c.TITLE], **known})

    return apply


def _text(column: ir.Value) -> ir.Value:
    """Return the paragraphs of a list as one text."""
    return column.cast("array<string>").join(" ") if column.type().is_array() else column


def _flat(column: ir.Value) -> ir.Value:
    """Return the words of a list of lists as one list."""
    return column.flatten() if column.type().is_array() and column.type().value_type.is_array() else column


def _movielens_items(table: ir.Table) -> ir.Table:
    return table.select(item_id=table["movieId"], title=table[c.TITLE], tags=table["genres"].re_split("[|]"))


def _kuairand_items(table: ir.Table) -> ir.Table:
    tags = table["tag"].cast("string").split(",")
    return table.select(item_id=table["video_id"], title=ibis.null("string"), tags=tags, category=table["video_type"])


def _red_mmu_items(table: ir.Table) -> ir.Table:
    return table.select(item_id=table["note_idx"], title=ibis.null("string"))


EXAMPLE_LINE = {"events": "user_id,item_id,rating,timestamp", "items": "item_id,title"}
VALUE = re.compile(r"[0-9]+(\.[0-9]+)?")  # no column of a schema is a number
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
REVIEW = "scenario <- domain, else 'reviews'; action <- 'review'"
EVENT_MAPPINGS = (
    ColumnMapping("contract", frozenset(c.EVENT_COLUMNS), "columns as in the contract", _contract_events),
    ColumnMapping(
        "amazon-reviews",
        frozenset({c.USER_ID, c.ITEM_ID, "domain", "timestamp"}),
        "scenario <- domain; action <- 'review'; timestamp <- timestamp, and position as its milliseconds",
        _amazon_domains,
        frozenset({"position"}),
    ),
    ColumnMapping(
        "amazon-2023",
        frozenset({c.USER_ID, "parent_asin", "rating", "timestamp"}),
        f"item_id <- parent_asin; {REVIEW}",
        _amazon_reviews(c.USER_ID, "parent_asin", "timestamp"),
        frozenset({"domain"}),
    ),
    ColumnMapping(
        "amazon-2018",
        frozenset({"reviewerID", "asin", "unixReviewTime"}),
        f"user_id <- reviewerID; item_id <- asin; timestamp <- unixReviewTime; {REVIEW}",
        _amazon_reviews("reviewerID", "asin", "unixReviewTime"),
        frozenset({"domain"}),
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
            frozenset(RED_MMU_USERS),
        )
        for lists in RED_MMU_LISTS
    ),
)
ITEM_MAPPINGS = (
    ColumnMapping(
        "amazon-reviews",
        frozenset({c.ITEM_ID, "domain", c.TITLE}),
        "scenarios <- [domain]; title <- title",
        _amazon_domain_items,
        frozenset(c.ITEM_COLUMNS),
    ),
    ColumnMapping(
        "contract",
        frozenset({c.ITEM_ID, c.TITLE}),
        "columns as in the contract",
        _contract_items,
        frozenset(c.ITEM_COLUMNS),
    ),
    ColumnMapping(
        "amazon-2023",
        frozenset({"parent_asin", c.TITLE}),
        "item_id <- parent_asin; body <- description; category <- main_category; tags <- categories",
        _amazon_items("parent_asin", "main_category", ("categories",)),
        frozenset({"description", "main_category", "categories"}),
    ),
    ColumnMapping(
        "amazon-2018",
        frozenset({"asin", c.TITLE}),
        "item_id <- asin; body <- description; category <- main_cat; tags <- category, else categories",
        _amazon_items("asin", "main_cat", (c.CATEGORY, "categories")),
        frozenset({"description", "main_cat", c.CATEGORY, "categories"}),
    ),
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
    raise InputError(f"{name}: {_what_is_missing(table.columns, name)}")


def _what_is_missing(columns: Sequence[str], name: str) -> str:
    shown = ", ".join(columns)
    other = {"events": ITEM_MAPPINGS, "items": EVENT_MAPPINGS}[name]
    if any(mapping.needs <= set(columns) for mapping in other):
        seen, wanted = ("an item table", "event log") if name == "events" else ("an event log", "item table")
        return f"this is {seen}, with the columns {shown}. Give the {wanted} here."
    if any(VALUE.fullmatch(column) for column in columns):
        return (
            f"the first line has values, not the names of columns: {shown}. Put those above it, as in "
            f"(echo {EXAMPLE_LINE[name]}; cat FILE) > {name}.csv."
        )
    needed = c.EVENT_COLUMNS if name == "events" else (c.ITEM_ID, c.TITLE)
    missing = [column for column in needed if column not in columns]
    constants = [f"{column}=NAME" for column in missing if column in (c.SCENARIO, c.ACTION)]
    without = f" If it is the same in all rows: --set {','.join(constants)}." if constants else ""
    return (
        f"column {', '.join(missing)} is missing; seen: {shown}. If a column has another "
        f"name: --map ITS_NAME={missing[0]}.{without} In a recipe these are data.columns and data.constants; "
        "`redrec validate --schemas` lists the schemas that are read as they are."
    )
