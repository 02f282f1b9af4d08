"""Rows that no index of them can make right are refused, with the item's name."""

import numpy as np
import pytest

from redrec.config import InputError
from redrec.index.rows import check_rows
from tests.index.planted import DIM, EMBEDDINGS, ITEM_INDEX

IDS = list(ITEM_INDEX)


def changed(row: int, value: float) -> np.ndarray:
    embeddings_ND = EMBEDDINGS.copy()
    embeddings_ND[row] = value
    return embeddings_ND


def test_rows_of_unit_norm_pass_and_their_error_is_that_of_float16():
    assert 0 < check_rows(IDS, EMBEDDINGS, DIM, 0.01) < 0.001


@pytest.mark.parametrize(
    ("item_ids", "embeddings_ND", "dim", "message"),
    [
        (IDS, EMBEDDINGS, DIM + 1, r"float16 \(60, 8\); allowed is float16 \(60, 9\): a row per item, as wide as"),
        (IDS[:-1], EMBEDDINGS, DIM, r"float16 \(60, 8\); allowed is float16 \(59, 8\)"),
        (IDS, EMBEDDINGS.astype(np.float32), DIM, r"are float32 \(60, 8\)"),
        ([*IDS[:-1], "i1"], EMBEDDINGS, DIM, r"more than once, as \['i1'\]"),
        (IDS, changed(3, np.nan), DIM, "^1 item embeddings have no norm of 1, as that of item i3: nan; allowed"),
        (IDS, changed(3, np.inf), DIM, "as that of item i3: inf"),
        (IDS, changed(4, 0), DIM, r"as that of item i4: 0\.000; allowed is an error of 0\.01"),
        (IDS, EMBEDDINGS * np.float16(2), DIM, "^60 item embeddings"),
    ],
)
def test_other_rows_are_refused(item_ids: list[str], embeddings_ND: np.ndarray, dim: int, message: str):
    with pytest.raises(InputError, match=message):
        check_rows(item_ids, embeddings_ND, dim, 0.01)
