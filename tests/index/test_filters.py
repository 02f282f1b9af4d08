"""Filters: quoting of values, and one mask per condition."""

import json

import numpy as np

from redrec.index.filters import ItemFilter
from tests.index.planted import (
    CATALOG,
    CATEGORIES,
    ITEM_INDEX,
    NOON_MS,
    NUM_ITEMS,
    WINDOWED_CATALOG,
    is_available,
)


def test_the_expression_quotes_what_it_is_given():
    expression = ItemFilter(category='") or item_id != ("').expression()
    assert expression == f"category == {json.dumps(CATEGORIES[5])}"


def test_the_mask_applies_every_condition():
    excluded = tuple(ITEM_INDEX)[:30]
    is_allowed_N = CATALOG.is_allowed(ItemFilter(scenario="homefeed", category=CATEGORIES[1], exclude_ids=excluded))
    expected = [i for i in range(30, NUM_ITEMS - 1) if i % 4 != 0 and i % 6 == 1]
    assert is_allowed_N.nonzero()[0].tolist() == expected
    assert CATALOG.is_allowed(ItemFilter()).all()


def test_the_mask_at_a_moment_has_the_items_that_are_available_then():
    is_allowed_N = WINDOWED_CATALOG.is_allowed(ItemFilter("homefeed", moment_ms=NOON_MS))
    expected = [i for i in range(NUM_ITEMS) if i % 4 != 0 and is_available(i, NOON_MS)]
    assert is_allowed_N.nonzero()[0].tolist() == expected
    assert WINDOWED_CATALOG.is_allowed(ItemFilter()).all()


def test_only_a_catalog_with_windows_is_filtered_by_the_moment():
    assert (CATALOG.moment(NOON_MS), WINDOWED_CATALOG.moment(NOON_MS)) == (None, NOON_MS)


def test_a_mask_among_some_items_is_that_of_the_catalog():
    items_T, excluded = np.array([7, 1, 50, 25]), tuple(ITEM_INDEX)[:2]
    for item_filter in (
        ItemFilter(),
        ItemFilter("homefeed", CATEGORIES[1], excluded),
        ItemFilter("ads", "no such category"),
        ItemFilter("no such scenario"),
        ItemFilter("ads", moment_ms=NOON_MS),
    ):
        expected = WINDOWED_CATALOG.is_allowed(item_filter)[items_T]
        assert WINDOWED_CATALOG.is_allowed_among(items_T, item_filter).tolist() == expected.tolist()


def test_an_item_without_category_fits_no_category():
    assert not any(CATALOG.is_allowed(ItemFilter(category=category))[NUM_ITEMS - 1] for category in CATEGORIES)
