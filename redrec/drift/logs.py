"""Logs: two event logs, or two windows of one, as tables that are compared column by column."""

from typing import Literal, NamedTuple

import ibis.expr.types as ir

Kind = Literal["numeric", "categorical", "vector"]


class Logs(NamedTuple):
    """Events with USER_ID, ITEM_ID, SCENARIO and the columns of `kinds`: float64, string, or list of float64."""

    reference: ir.Table
    current: ir.Table
    kinds: dict[str, Kind]
    vectors: ir.Table | None = None  # ITEM_ID and "vector" of the catalog's items
