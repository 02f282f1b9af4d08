"""Inputs: the event log and the item table as a person brings them, in the columns of the contract.

A column is found by its name, by the name that `columns` gives it, or by a known schema; one that a table lacks may be
a constant. What is not used is listed. Ids that another program made numbers with a fraction are made whole again.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
from ibis.backends.sql import SQLBackend

from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.mapping import EVENT_MAPPINGS, ITEM_MAPPINGS, recognise
from redrec.data.sources import Source, open_source

FLOAT_ID = r"^[0-9]+\.0$"
SAMPLE_ROWS = 1000  # a text column without such ids is not read whole
MAX_EXACT = 2**53  # from here on, a float has lost digits
CONTRACT = {"events": c.EVENT_COLUMNS, "items": c.ITEM_COLUMNS}
MAPPINGS = {"events": EVENT_MAPPINGS, "items": ITEM_MAPPINGS}


class ColumnChoices(NamedTuple):
    """What a person says about columns: ours by theirs, and the values of columns that the events lack."""

    columns: Mapping[str, str] = MappingProxyType({})
    constants: Mapping[str, str] = MappingProxyType({})


AS_THEY_ARE = ColumnChoices()


class Input(NamedTuple):
    table: ir.Table  # with the contract's columns, as they came
    mapping: str
    used: tuple[str, ...]  # of the columns as they came
    ignored: tuple[str, ...]
    notices: tuple[str, ...]


def read_input(connection: SQLBackend, source: Source, name: str, choices: ColumnChoices, scratch: Path) -> Input:
    """Open the source and return it in the columns of the contract, see `as_contract`."""
    return as_contract(open_source(connection, source, name, scratch), name, choices)


def as_contract(raw: ir.Table, name: str, choices: ColumnChoices) -> Input:
    """Return an opened table, events or items by its name, in the columns of the contract.

    Raises:
        InputError: Columns are missing or given twice.
    """
    constants = choices.constants if name == "events" else {}
    renamed, notices = _renamed(raw, choices.columns, name)
    literals = {column: ibis.literal(value) for column, value in _absent(constants, renamed, name).items()}
    mapping = recognise(renamed.mutate(**literals), MAPPINGS[name], name)
    mapped = mapping.apply(renamed.mutate(**literals)).mutate(**literals)  # a schema has constants of its own
    ids = [column for column in (c.USER_ID, c.ITEM_ID) if column in mapped.columns]
    whole, mended = _whole_ids(mapped, ids, name)
    theirs = {ours: column for column, ours in choices.columns.items() if column in raw.columns}
    if name == "items" and c.SCENARIO in raw.columns and c.SCENARIOS not in renamed.columns:
        notices.append(f"if {c.SCENARIO} says where an item may be shown: --map {c.SCENARIO}={c.SCENARIOS}")
    used = {theirs.get(column, column) for column in mapping.needs | mapping.optional}
    given = [f"{column} is {value!r} in all rows" for column, value in constants.items()]
    return Input(
        whole,
        mapping.name,
        tuple(column for column in raw.columns if column in used),
        tuple(column for column in raw.columns if column not in used),
        (*notices, *given, *mended),
    )


def check_columns(columns: Collection[str], inputs: Sequence[Input]) -> None:
    """Raise InputError if a column that a person renamed is in no table."""
    seen = dict.fromkeys(chain.from_iterable((*given.used, *given.ignored) for given in inputs))
    absent = [column for column in columns if column not in seen]
    if absent:
        raise InputError(
            f"--map renames {', '.join(absent)}, and no table has this column; seen: {', '.join(seen)}. "
            "Write --map THEIRS=OURS, such as --map ts=timestamp."
        )


def _renamed(raw: ir.Table, columns: Mapping[str, str], name: str) -> tuple[ir.Table, list[str]]:
    """Return the table with our names; a column that had one of them and is not meant is left out."""
    given: dict[str, str] = {}
    for theirs, ours in columns.items():
        if theirs not in raw.columns or ours not in CONTRACT[name]:
            continue
        if ours in given:
            raise InputError(f"{name}: --map makes {given[ours]} and {theirs} both {ours}. Choose one.")
        given[ours] = theirs
    kept = [column for column in raw.columns if column not in given and column not in given.values()]
    renamed = raw.select(*kept, **{ours: raw[theirs] for ours, theirs in given.items()}) if given else raw
    return renamed, [f"{ours} is the column {theirs}" for ours, theirs in given.items()]


def _absent(constants: Mapping[str, str], table: ir.Table, name: str) -> Mapping[str, str]:
    for column in constants:
        if column in table.columns:
            raise InputError(f"{name}: the table has a column {column}. Leave it out of --set, or rename the column.")
    return constants


def _whole_ids(table: ir.Table, ids: Sequence[str], name: str) -> tuple[ir.Table, list[str]]:
    """Return the table with ids such as 1001.0 made 1001, if all of a column are such, and a notice for each."""
    mended, notices = {}, []
    for column in ids:
        whole = _whole_numbers(table, column, name) if table[column].type().is_floating() else _texts(table, column)
        if whole is not None:
            mended[column] = whole
            notices.append(f"{column} came as numbers with a fraction, such as 1001.0; they are read as 1001")
    return table.mutate(**mended) if mended else table, notices


def _whole_numbers(table: ir.Table, column: str, name: str) -> ir.Value | None:
    ids = table[column]
    number = ids.isnan().ifelse(ibis.null(ids.type()), ids)
    seen = table.aggregate(broken=(number != number.floor()).sum(), most=number.abs().max()).to_pyarrow().to_pylist()[0]
    if seen["broken"]:
        return None
    if (seen["most"] or 0) >= MAX_EXACT:
        raise InputError(
            f"{name}: {column} holds floats such as {seen['most']:.0f}, which have lost digits. Write the column as "
            "whole numbers or as text."
        )
    return number.try_cast("int64").cast("string")


def _texts(table: ir.Table, column: str) -> ir.Value | None:
    if not table[column].type().is_string():
        return None
    is_such = all(_are_floats(rows, column) for rows in (table.limit(SAMPLE_ROWS), table))
    return table[column].re_replace(r"\.0$", "") if is_such else None


def _are_floats(rows: ir.Table, column: str) -> bool:
    given = rows.filter(rows[column].notnull() & (rows[column] != ""))
    counts = given.aggregate(rows=given.count(), floats=given[column].re_search(FLOAT_ID).sum()).to_pyarrow()
    return bool(counts["rows"][0].as_py()) and counts["rows"][0].as_py() == counts["floats"][0].as_py()
