"""Rows: whether item ids and embeddings are such that an index of them gives right answers.

Shapes: N items, M of them in a block, D embedding.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from redrec.config import InputError

BLOCK_ITEMS = 65_536  # bounds memory: 16 MiB of float32 at D = 64
NUM_SHOWN = 3
REMEDY = "Train again on this data folder, or copy the model again."


def check_rows(item_ids: Sequence[str], embeddings_ND: NDArray[np.floating], dim: int, max_norm_error: float) -> float:
    """Check that there is one unit-norm embedding of `dim` numbers per distinct item; return the greatest norm error.

    Raises:
        InputError: There is not.
    """
    if embeddings_ND.shape != (len(item_ids), dim) or embeddings_ND.dtype != np.float16:
        raise InputError(
            f"The item embeddings are {embeddings_ND.dtype} {embeddings_ND.shape}; allowed is float16 "
            f"{(len(item_ids), dim)}: a row per item, as wide as the tower's interests. {REMEDY}"
        )
    if len(set(item_ids)) < len(item_ids):
        twice = [item for item, count in Counter(item_ids).most_common(NUM_SHOWN) if count > 1]
        raise InputError(
            f"Item ids are there more than once, as {twice}. Each is allowed once; prepare the data again."
        )
    errors = []
    for start in range(0, len(item_ids), BLOCK_ITEMS):
        norm_M = np.linalg.norm(np.asarray(embeddings_ND[start : start + BLOCK_ITEMS], np.float32), axis=1)
        wrong = start + np.flatnonzero(~(np.abs(norm_M - 1) <= max_norm_error))  # NaN and infinity are wrong too
        if len(wrong):
            item = wrong[0]
            raise InputError(
                f"{len(wrong):,} item embeddings have no norm of 1, as that of item {item_ids[item]}: "
                f"{norm_M[item - start]:.3f}; allowed is an error of {max_norm_error} (index.max_norm_error). {REMEDY}"
            )
        errors.append(float(np.abs(norm_M - 1).max()))
    return max(errors, default=0.0)
