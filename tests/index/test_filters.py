"""Filters: quoting of values, and one mask per condition."""

import json

from redrec.index.filters import ItemFilter
from tests.index.planted import CATALOG, CATEGORIES, ITEM_INDEX, NUM_ITEMS


def test_the_expression_quotes_what_it_is_given():
    expression = ItemFilter(category='") or item_id != ("').expression()
    assert expression == f"category == {json.dumps(CATEGORIES[5])}"


def test_the_mask_applies_every_condition():
    excluded = tuple(ITEM_INDEX)[:30]
    is_allowed_N = CATALOG.is_allowed(ItemFilter(scenario="homefeed", category=CATEGORIES[1], exclude_ids=excluded))
    expected = [i for i in range(30, NUM_ITEMS - 1) if i % 4 != 0 and i % 6 == 1]
    assert is_allowed_N.nonzero()[0].tolist() == expected
    assert CATALOG.is_allowed(ItemFilter()).all()
