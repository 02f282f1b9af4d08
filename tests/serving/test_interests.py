"""Interests: users of one request are one run of the tower, and each has what it would have alone."""

import numpy as np
import pytest

from redrec.bundle.reader import Bundle
from redrec.index.filters import Catalog, ItemFilter
from serving.histories import encode_columns, event_columns
from serving.interests import Interests, KnownUser
from serving.workers import MEDOIDS, TOWER
from tests.serving.retrieval import SEEN, query

MOMENT_MS = 1_700_000_100_000
HISTORIES = (SEEN, SEEN[:1], [*SEEN, "item-020", "item-030"])


def known_users(bundle: Bundle) -> list[KnownUser]:
    """Return a query of each scenario for each history."""
    pairs = [(scenario, items) for scenario in bundle.manifest.scenarios for items in HISTORIES]
    queries = [query(*pair) for pair in pairs]
    return [
        KnownUser(one, encode_columns(event_columns(one.history or []), bundle), ItemFilter(one.scenario))
        for one in queries
    ]


@pytest.mark.parametrize("stage", [TOWER, MEDOIDS])
def test_a_user_of_many_has_the_interests_and_boosts_that_it_has_alone(bundle: Bundle, stage: str):
    interests, known = Interests(bundle, Catalog(bundle.items, bundle.item_index), features=None), known_users(bundle)
    together = interests.of(stage, known, MOMENT_MS)
    alone = [interests.of(stage, [one], MOMENT_MS)[0] for one in known]
    for user, other in zip(together, alone, strict=True):
        assert user.known is other.known and user.has_tower == (stage == TOWER)
        assert user.query.interests_QD == pytest.approx(other.query.interests_QD, abs=1e-5)
        assert all(map(np.array_equal, user.boosted.own, other.boosted.own))
    assert not np.allclose(together[0].query.interests_QD, together[1].query.interests_QD)


def test_all_users_are_one_run_of_the_tower(bundle: Bundle):
    interests, known = Interests(bundle, Catalog(bundle.items, bundle.item_index), features=None), known_users(bundle)
    tower, sizes = interests.tower, []

    def counted(inputs):
        sizes.append(len(inputs.query_scenario_B))
        return tower(inputs)

    interests.tower = counted
    interests.of(TOWER, known, MOMENT_MS)
    assert sizes == [len(known)]
