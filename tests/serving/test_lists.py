"""Lists: one user's items, whether the index in process or a server found them; popular ones without interests."""

import numpy as np
import pytest

from redrec.bundle.reader import Bundle
from redrec.index.exact import exact_search
from redrec.index.filters import Catalog, ItemFilter
from serving.config import ServingConfig
from serving.interests import Interests
from serving.lists import FALLBACK, Item, Lists
from serving.workers import TOWER
from tests.serving.retrieval import item_ids, query
from tests.serving.test_interests import MOMENT_MS, known_users


@pytest.fixture
def lists(bundle: Bundle) -> Lists:
    return Lists(bundle, Catalog(bundle.items, bundle.item_index), ServingConfig())


def unscored(items: list[Item]) -> list[Item]:
    return [item._replace(score=None) for item in items]


def scores(items: list[Item]) -> list[float | None]:
    """Return the scores: a product for all users rounds its last digit otherwise than one for each, by the processor."""
    return [item.score for item in items]


def test_what_a_server_found_becomes_the_list_of_the_index_in_process(bundle: Bundle, lists: Lists):
    users = Interests(bundle, lists.catalog, features=None).of(TOWER, known_users(bundle), MOMENT_MS)
    results = [
        exact_search(
            user.query.interests_QD,
            bundle.embeddings_ND,
            lists.num_searched(user),
            lists.catalog.is_allowed(user.known.item_filter),
        )
        for user in users
    ]
    of_results, in_process = lists.of_results(results, users), lists.from_process(users)
    assert [unscored(items) for items in of_results] == [unscored(items) for items in in_process]
    assert [scores(items) for items in of_results] == [pytest.approx(scores(items), abs=1e-6) for items in in_process]
    assert len({str(items) for items in in_process}) > 1


def test_popular_items_are_followed_by_others_of_the_catalog(bundle: Bundle, lists: Lists):
    """As many as are wanted and allowed, each once."""
    popular, item_filter = bundle.fallback["homefeed"], ItemFilter("homefeed", exclude_ids=(bundle.item_ids[0],))
    answer = lists.fallback(query(k=1000), item_filter, "why")
    given, allowed = item_ids(answer), np.flatnonzero(lists.catalog.is_allowed(item_filter))
    assert (answer.source, answer.reason, answer.is_of_model) == (FALLBACK, "why", False)
    assert given[: len(popular) - 1] == [item for item in popular if item != bundle.item_ids[0]][: len(popular) - 1]
    assert sorted(given) == sorted(bundle.item_ids[i] for i in allowed)
