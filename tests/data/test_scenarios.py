"""Scenarios: every name has a slug of its own that all file systems, Feast and Milvus take."""

import re

from redrec.data.scenarios import slug

NAMES = [
    "ads",
    "Ads",
    "ADS",
    "a/b",
    "a_b",
    "a b",
    "a-b",
    "a__b",
    "首页",
    "搜索",
    "🙂",
    "..",
    "_",
    "Home & Kitchen",
    "deadbeef",
]


def test_names_of_any_kind_have_short_distinct_slugs():
    slugs = [
        slug(name) for name in [*NAMES, *(f"{'界' * 120}{n}" for n in range(200)), *("x" * n for n in range(1, 128))]
    ]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch("[a-z0-9][a-z0-9_]{0,60}", text) for text in slugs)


def test_a_slug_is_no_other_scenarios_name():
    for name in NAMES:
        assert slug(name) == name or slug(slug(name)) != slug(name)
