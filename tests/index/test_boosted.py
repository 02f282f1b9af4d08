"""Boosted search: the best of an index, of popular and of own items are the best of all, item by item."""

import numpy as np
import pyarrow as pa
import pytest

from redrec.index.boosted import Boosted
from redrec.index.exact import exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.merge import merge_max
from redrec.index.popularity_boost import PopularItems
from redrec.model.boosts import Own

N, D, K = 200, 8, 12


CATALOG = Catalog(
    pa.table({"category": [f"c{i % 3}" for i in range(N)], "scenarios": [["ads"]] * N}), {f"i{i}": i for i in range(N)}
)


@pytest.mark.parametrize("num_popular", [0, 30])
@pytest.mark.parametrize("num_own", [0, 25])
@pytest.mark.parametrize(
    "item_filter", [ItemFilter("ads"), ItemFilter("ads", "c1"), ItemFilter("ads", None, ("i3", "i7"))]
)
def test_a_search_by_cosine_with_boosts_is_an_exact_search_of_boosted_scores(num_popular, num_own, item_filter):
    rng = np.random.default_rng(num_popular + num_own)
    embeddings_ND, interests_QD = rng.normal(size=(N, D)).astype(np.float32), rng.normal(size=(2, D)).astype(np.float32)
    is_allowed_N = CATALOG.is_allowed(item_filter)
    popular_N, items_T = np.zeros(N, np.float32), np.sort(rng.choice(N, num_popular, replace=False))
    popular_N[items_T] = rng.exponential(2, num_popular)
    popular = PopularItems(popular_N, items_T, embeddings_ND[items_T]) if num_popular else None
    own_T = np.sort(rng.choice(N, num_own, replace=False))
    boosted = Boosted(popular, Own(own_T, rng.exponential(3, num_own).astype(np.float32)))

    by_cosine = exact_search(interests_QD, embeddings_ND, K, is_allowed_N)
    results = merge_max(*boosted.add_to(by_cosine, interests_QD, K, item_filter, CATALOG, embeddings_ND), K)
    whole = merge_max(*exact_search(interests_QD, embeddings_ND, K, is_allowed_N, boosted.of_all(N)), K)
    assert results.items_K.tolist() == whole.items_K.tolist()
    np.testing.assert_allclose(results.scores_K, whole.scores_K, rtol=1e-5)
    assert (results.items_K.tolist() == merge_max(*by_cosine, K).items_K.tolist()) == (num_popular + num_own == 0)
