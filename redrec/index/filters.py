"""Filters: which items a request may get, as one Milvus expression and as one mask over the catalog.

Both forms allow the same items, since the mask replaces the expression when Milvus is unavailable. The conditions are
allowed scenario, category, and ids to exclude. Values enter the expression as quoted literals only, never as
expression text.

A row has one boolean field per scenario, not an array of scenario names: with an array condition, Milvus Lite
evaluates every condition of the expression row by row in Python. CPU of one search at 50 k items: array 560 ms,
boolean 67 ms; with 500 ids to exclude 4.9 s and 74 ms.

Shapes: N items.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from redrec.data.scenarios import slug


class ItemFilter(NamedTuple):
    """None and empty restrict nothing."""

    scenario: str | None = None  # the item may be shown there
    category: str | None = None
    exclude_ids: tuple[str, ...] = ()

    def expression(self) -> str:
        r"""Return the Milvus boolean expression; empty if nothing is restricted.

        >>> ItemFilter(scenario="ads", exclude_ids=('a"b',)).expression()
        'shown_in_ads == true and item_id not in ["a\\"b"]'
        """
        clauses = []
        if self.scenario is not None:
            clauses.append(f"{scenario_field(self.scenario)} == true")
        if self.category is not None:
            clauses.append(f"category == {literal(self.category)}")
        if self.exclude_ids:
            clauses.append(f"item_id not in [{', '.join(map(literal, self.exclude_ids))}]")
        return " and ".join(clauses)


def scenario_field(scenario: str) -> str:
    """Return the name of the scenario's field; different scenarios never share one."""
    return f"shown_in_{slug(scenario)}"


def literal(text: str) -> str:
    """Return `text` as a string literal of a Milvus expression; the escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


class Catalog:
    """The filterable columns of the items table, in item_index order."""

    def __init__(self, items: pa.Table, item_index: Mapping[str, int]) -> None:
        self.item_index = item_index
        self.num_items = items.num_rows
        self.categories = items["category"].combine_chunks()
        scenarios = items["scenarios"].combine_chunks()
        self._item_of_pair, self._scenario_of_pair = pc.list_parent_indices(scenarios), pc.list_flatten(scenarios)

    def is_allowed(self, item_filter: ItemFilter) -> NDArray[np.bool_]:
        """Return `is_allowed_N`, true for the items that `expression()` would match."""
        is_allowed_N = np.ones(self.num_items, dtype=bool)
        if item_filter.scenario is not None:
            is_shown = pc.equal(self._scenario_of_pair, item_filter.scenario)
            is_allowed_N[:] = False
            is_allowed_N[self._item_of_pair.filter(is_shown).to_numpy()] = True
        if item_filter.category is not None:
            is_category = pc.equal(self.categories, item_filter.category).fill_null(False)
            is_allowed_N &= is_category.to_numpy(zero_copy_only=False)
        excluded = [self.item_index[item] for item in item_filter.exclude_ids if item in self.item_index]
        is_allowed_N[excluded] = False
        return is_allowed_N
