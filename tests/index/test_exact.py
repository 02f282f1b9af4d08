import numpy as np

from redrec.index import exact
from redrec.index.exact import NO_ITEM, exact_search


def test_exact_search_agrees_with_a_full_sort():
    rng = np.random.default_rng(0)
    queries_QD, embeddings_ND = rng.normal(size=(5, 8)), rng.normal(size=(300, 8)).astype(np.float16)
    scores_QK, items_QK = exact_search(queries_QD, embeddings_ND, k=20)
    scores_QN = queries_QD.astype(np.float32) @ embeddings_ND.astype(np.float32).T
    assert (items_QK == np.argsort(-scores_QN, axis=1)[:, :20]).all()
    np.testing.assert_allclose(scores_QK, -np.sort(-scores_QN, axis=1)[:, :20], rtol=1e-5)


def test_blocks_do_not_change_the_result(monkeypatch):
    rng = np.random.default_rng(1)
    queries_QD, embeddings_ND = rng.normal(size=(3, 4)), rng.integers(-1, 2, size=(50, 4))  # many ties
    whole = exact_search(queries_QD, embeddings_ND, k=7)[1]
    monkeypatch.setattr(exact, "BLOCK_ITEMS", 6)
    assert (exact_search(queries_QD, embeddings_ND, k=7)[1] == whole).all()


def test_ties_go_to_the_lower_item():
    assert exact_search(np.ones((1, 1)), np.ones((9, 1)), k=4)[1].tolist() == [[0, 1, 2, 3]]


def test_rows_end_in_padding_if_too_few_items_are_allowed():
    is_allowed_N = np.array([False, True, False, True])
    scores_QK, items_QK = exact_search(np.ones((1, 1)), np.arange(4.0)[:, None], k=3, is_allowed_N=is_allowed_N)
    assert items_QK.tolist() == [[3, 1, NO_ITEM]]
    assert scores_QK.tolist() == [[3.0, 1.0, -np.inf]]


def test_k_above_the_catalog_returns_the_catalog():
    assert exact_search(np.ones((2, 1)), np.ones((3, 1)), k=10)[1].shape == (2, 3)
