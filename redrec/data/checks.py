"""Checks of the two tables: each bad row gets the first reason that holds, and none disappears.

A check is a boolean Ibis expression. Bad rows go to the quarantine table with their reason; the run stops if
their share is above the configured limit.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import ibis
import ibis.expr.types as ir

from redrec.data import columns as c
from redrec.data import validity
from redrec.data.tables import event_order
from redrec.data.times import TIME, TimeFormat, Unit, time_format, utc_times

EDGES = r"""^[\s'"]+|[\s'"]+$"""  # of a word in a list
REASON = "reason"
GIVEN_TIME = "given_time"  # the timestamp as it came


def typed_events(mapped: ir.Table, unit: Unit | None) -> ir.Table:
    """Cast to the contract's types; a value that cannot be cast becomes null, and `checked_events` finds it.

    `unit` is that of numbers in the column of times. Times are cut to milliseconds, as in histories: with finer ones,
    training and serving would sort events differently.
    """
    time = utc_times(mapped[c.TIMESTAMP], unit)
    if c.ORDER in mapped.columns:
        time += ibis.interval(milliseconds=1) * mapped[c.ORDER].fill_null(0)
    return mapped.select(
        **{name: mapped[name].cast("string") for name in (c.USER_ID, c.ITEM_ID)},
        **{name: mapped[name].cast("string").strip() for name in (c.SCENARIO, c.ACTION)},
        **{c.TIMESTAMP: time, GIVEN_TIME: mapped[c.TIMESTAMP]},
    )


def window_formats(mapped: ir.Table) -> dict[str, TimeFormat]:
    """Return how the columns of availability windows are read, of those that the items have.

    Raises:
        InputError: One holds no times.
    """
    return {name: time_format(mapped, "items", name) for name in c.WINDOW_COLUMNS if name in mapped.columns}


def typed_items(mapped: ir.Table, formats: Mapping[str, TimeFormat]) -> ir.Table:
    """Cast to the contract's types; absent optional columns are null.

    `formats` are those of `window_formats`. Whether an item came with a value there is in a column of its own.
    """

    def text(name: str) -> ir.Value:
        return mapped[name].cast("string") if name in mapped.columns else ibis.null("string")

    def words(name: str) -> ir.Value:
        return _words(mapped[name]) if name in mapped.columns else ibis.null("array<string>")

    def time(name: str) -> ir.Value:
        return utc_times(mapped[name], formats[name].unit) if name in formats else ibis.null(TIME)

    return mapped.select(
        **{name: text(name) for name in (c.ITEM_ID, c.TITLE, c.BODY, c.CATEGORY, c.IMAGE)},
        **{name: words(name) for name in (c.TAGS, c.SCENARIOS)},
        **{name: time(name) for name in c.WINDOW_COLUMNS},
        **{_given(name): _has_value(mapped[name]) for name in formats},
        row=_row_text({name: mapped[name] for name in (c.ITEM_ID, c.TITLE, *formats)}),
    )


def _given(name: str) -> str:
    return f"has_{name}"


def _has_value(column: ir.Value) -> ir.BooleanValue:
    kind = column.type()
    if kind.is_string():
        return column.strip() != ""
    return ~column.isnan() if kind.is_floating() else column.notnull()


def _words(column: ir.Value) -> ir.ArrayValue:
    """Return the lists of a column of lists, or of texts like `[a, b]`, `a, b` or `a|b`."""
    if not column.type().is_string():
        return column.try_cast("array<string>")
    bare = column.re_replace(r"^\s*\[|\]\s*$", "")
    split = bare.contains("|").ifelse(bare.re_split("[|]"), bare.split(","))  # for Spark's `split`, | is a pattern
    words = split.map(lambda word: word.re_replace(EDGES, ""))
    return (column.strip() == "").ifelse(ibis.null("array<string>"), words.filter(lambda word: word != ""))


def checked_events(events: ir.Table, catalog: ir.Table, scenarios: tuple[str, ...] | None, now: datetime) -> ir.Table:
    """Return the events with the `item_index` of the catalog and their `reason`, null if the row is good.

    Repeated rows are good here; `redrec.data.event_writer` takes them out.
    """
    known = catalog.select("item_index", known_item_id=catalog[c.ITEM_ID])
    joined = events.left_join(known, events[c.ITEM_ID] == known.known_item_id).drop("known_item_id")
    is_unknown = joined.item_index.isnull()  # the item table was checked: the id of a known item is good
    is_allowed = joined[c.SCENARIO].isin(scenarios) if scenarios else ibis.literal(True)
    latest = now + timedelta(milliseconds=validity.MAX_CLOCK_DIFFERENCE_MS)
    reason = ibis.cases(
        *_id_checks(joined, c.USER_ID),
        *((is_unknown & is_bad, reason) for is_bad, reason in _id_checks(joined, c.ITEM_ID)),
        *_word_checks(joined, c.SCENARIO),
        (~is_allowed, validity.unknown(c.SCENARIO, scenarios or ())),
        *_word_checks(joined, c.ACTION),
        (joined[c.TIMESTAMP].isnull(), validity.NO_TIME),
        (joined[c.TIMESTAMP] < _literal(datetime.fromtimestamp(0, UTC)), validity.BEFORE_1970),
        (joined[c.TIMESTAMP] > _literal(latest), validity.IN_FUTURE),
        (is_unknown, validity.UNKNOWN_ITEM),
        else_=ibis.null("string"),
    )
    return joined.mutate(**{REASON: reason})


def sorted_events(checked: ir.Table) -> ir.Table:
    """Return the events by user and time; only bad ones have their `row`: its text takes as long as all the rest."""
    row = checked[REASON].isnull().ifelse(ibis.null("string"), _event_text(checked))
    sortable = checked.mutate(row=row).drop(GIVEN_TIME)
    return sortable.order_by(*event_order(sortable))


def repeated_events(typed: ir.Table, repeats: ir.Table) -> ir.Table:
    """Return `reason` and `row` of the repeated events; `repeats` holds each of these events at least once."""
    same = typed.semi_join(repeats, c.EVENT_COLUMNS)
    good = same.mutate(**{REASON: ibis.null("string"), "row": _event_text(same)})
    marked = _mark_repeated(good, c.EVENT_COLUMNS, "duplicate of another row")
    return marked.filter(marked[REASON].notnull()).select(REASON, "row")


def checked_items(items: ir.Table) -> ir.Table:
    """Return the items with their `reason`, null if the row is good."""
    given = {name: _given(name) for name in c.WINDOW_COLUMNS if _given(name) in items.columns}
    reason = ibis.cases(
        *_id_checks(items, c.ITEM_ID),
        *((items[has_value] & items[name].isnull(), validity.no_time(name)) for name, has_value in given.items()),
        (items[c.AVAILABLE_FROM] > items[c.AVAILABLE_UNTIL], validity.ENDS_FIRST),
        else_=ibis.null("string"),
    )
    checked = items.mutate(**{REASON: reason}).drop(*given.values())
    return _mark_repeated(checked, (c.ITEM_ID,), "item_id appears twice")


def _id_checks(table: ir.Table, name: str) -> list[tuple[ir.BooleanValue, str]]:
    column = table[name]
    return [
        (_is_absent(column), validity.missing(name)),
        (column.re_search(validity.NOT_IN_ID), validity.not_printable(name)),
        (column.length() > validity.MAX_ID_LENGTH, validity.too_long(name)),
    ]


def _word_checks(table: ir.Table, name: str) -> list[tuple[ir.BooleanValue, str]]:
    column = table[name]
    return [
        (_is_absent(column), validity.missing(name)),
        (column.re_search(validity.NOT_IN_WORD), validity.not_printable_word(name)),
        (column.length() > validity.MAX_ID_LENGTH, validity.too_long(name)),
    ]


def _literal(time: datetime) -> ir.TimestampScalar:
    return ibis.literal(time.replace(tzinfo=None))


def _is_absent(column: ir.Value) -> ir.BooleanValue:
    return column.isnull() | (column == "")


def _mark_repeated(table: ir.Table, key: tuple[str, ...], reason: str) -> ir.Table:
    """Give `reason` to all but one of the good rows with the same key."""
    window = ibis.window(group_by=[*key, table[REASON].isnull()], order_by=table.row)
    is_repeated = (ibis.row_number().over(window) > 0) & table[REASON].isnull()
    return table.mutate(**{REASON: is_repeated.ifelse(reason, table[REASON])})


def _event_text(events: ir.Table) -> ir.StringValue:
    given = {name: events[name] for name in c.EVENT_COLUMNS}
    return _row_text(given | {c.TIMESTAMP: events[GIVEN_TIME]})


def _row_text(given: dict[str, ir.Value]) -> ir.StringValue:
    """Return the row as it came, for the quarantine: `user_id=u1, item_id=i9, ...`."""
    texts = [ibis.literal(f"{name}=") + column.cast("string").fill_null("") for name, column in given.items()]
    return ibis.literal(", ").join(texts)
