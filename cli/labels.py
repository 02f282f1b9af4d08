"""Labels: how a list names its items, so that two of the same title are distinguished."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any


def labels(items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return a name for each item of a list, by id: its title, with its category or id where others have that title.

    >>> tea = {"title": "Green tea", "category": "drinks"}
    >>> labels([tea | {"item_id": "i1"}, {"item_id": "i2", "title": "Rake", "category": None}])
    {'i1': 'Green tea', 'i2': 'Rake'}
    >>> labels([tea | {"item_id": "i1"}, {"item_id": "i2", "title": "Green tea", "category": "plants"}])
    {'i1': 'Green tea (drinks)', 'i2': 'Green tea (plants)'}
    >>> labels([tea | {"item_id": "i1"}, tea | {"item_id": "i2"}])
    {'i1': 'Green tea (i1)', 'i2': 'Green tea (i2)'}
    """
    categories_of: dict[str, dict[str, str | None]] = defaultdict(dict)
    for item in items:
        categories_of[item["title"]][item["item_id"]] = item["category"]
    names = {}
    for title, categories in categories_of.items():
        counts = Counter(categories.values())
        for item_id, category in categories.items():
            is_category_enough = bool(category) and counts[category] == 1
            addition = category if is_category_enough else item_id
            names[item_id] = title if len(categories) == 1 else f"{title} ({addition})"
    return names
