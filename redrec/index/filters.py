"""Filters: which items a request may get, as one Milvus expression and as one mask over the catalog.

Both forms allow the same items, since the mask replaces the expression when Milvus is unavailable. The conditions are
allowed scenario, category, ids to exclude, and a moment at which the item is available. Values enter the expression as
quoted literals and numbers only, never as expression text.

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
from redrec.index.availability import FROM_FIELD, UNTIL_FIELD, Availability

NO_CATEGORY, NOT_THERE = -1, -2  # instead of a category's number: of an item that has none; of an unknown name


class ItemFilter(NamedTuple):
    """None and empty restrict nothing."""

    scenario: str | None = None  # the item may be shown there
    category: str | None = None
    exclude_ids: tuple[str, ...] = ()
    moment_ms: int | None = None  # the item is available then; see `Catalog.moment`

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
        if self.moment_ms is not None:
            clauses.append(f"{FROM_FIELD} <= {self.moment_ms} and {UNTIL_FIELD} > {self.moment_ms}")
        return " and ".join(clauses)


def scenario_field(scenario: str) -> str:
    """Return the name of the scenario's field; different scenarios never share one."""
    return f"shown_in_{slug(scenario)}"


def literal(text: str) -> str:
    """Return `text` as a string literal of a Milvus expression; the escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


class Catalog:
    """The filterable columns of the items table, in item_index order, as masks and numbers."""

    def __init__(self, items: pa.Table, item_index: Mapping[str, int]) -> None:
        self.item_index, self.num_items = item_index, items.num_rows
        categories = items["category"].combine_chunks().dictionary_encode()
        self.categories = categories.dictionary.to_pylist()
        self.category_N = categories.indices.fill_null(NO_CATEGORY).to_numpy(zero_copy_only=False)
        self._number_of = {name: number for number, name in enumerate(self.categories)}
        self._is_shown_N = _is_shown_by_scenario(items["scenarios"].combine_chunks(), items.num_rows)
        self.availability = Availability(items)

    def moment(self, moment_ms: int) -> int | None:
        """Return the moment to filter by; None if no item has a window: its collection may lack the fields of one."""
        return moment_ms if self.availability.has_windows else None

    def is_allowed(self, item_filter: ItemFilter) -> NDArray[np.bool_]:
        """Return `is_allowed_N`, true for the items that `expression()` would match."""
        is_allowed_N = self._fits(item_filter, slice(None))
        is_allowed_N[self._excluded(item_filter)] = False
        return is_allowed_N

    def is_allowed_among(self, items_T: NDArray[np.int64], item_filter: ItemFilter) -> NDArray[np.bool_]:
        """Return `is_allowed` of some items alone, without a look at the others."""
        return self._fits(item_filter, items_T) & ~np.isin(items_T, self._excluded(item_filter))

    def _fits(self, item_filter: ItemFilter, items_T: slice | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether items fit the filter but for the ids to exclude, as a new array."""
        category_T = self.category_N[items_T]
        if item_filter.category is None:
            fits_T = np.ones(len(category_T), dtype=bool)
        else:
            fits_T = category_T == self._number_of.get(item_filter.category, NOT_THERE)
        if item_filter.scenario is not None:
            is_shown_N = self._is_shown_N.get(item_filter.scenario)
            fits_T &= False if is_shown_N is None else is_shown_N[items_T]
        if item_filter.moment_ms is not None:
            fits_T &= self.availability.at(item_filter.moment_ms)[items_T]
        return fits_T

    def _excluded(self, item_filter: ItemFilter) -> list[int]:
        return [self.item_index[item] for item in item_filter.exclude_ids if item in self.item_index]


def _is_shown_by_scenario(scenarios: pa.ListArray, num_items: int) -> dict[str, NDArray[np.bool_]]:
    """Return a mask over the items per scenario that any of them names."""
    item_of_pair, scenario_of_pair = pc.list_parent_indices(scenarios), pc.list_flatten(scenarios)
    masks = {}
    for scenario in scenario_of_pair.unique():
        masks[scenario.as_py()] = is_shown_N = np.zeros(num_items, dtype=bool)
        is_shown_N[item_of_pair.filter(pc.equal(scenario_of_pair, scenario)).to_numpy()] = True
    return masks
