"""Clusters: a large catalog's embeddings in clusters, of which a query reads the nearest; candidates for exact scores.

faiss keeps each embedding as 64 bytes (at D = 64) in the list of its cluster. A search reads a share of the lists and
returns a few more candidates than are needed, since its scores are rounded. It is built in seconds, so no file of it
exists: a server builds it from the bundle's hashed embeddings, the same every time.

Measured beside it on clustered vectors (`tests/benchmarks/index_embedded.py`): to read all vectors in 8 bits takes
twice the CPU at 1 M items; HNSW takes 15 s of CPU to build for 100 k, and with a filter misses most of what exists.

Shapes: Q queries, N items, S sampled items, D embedding, C candidates.
"""

import faiss
import numpy as np
from numpy.typing import NDArray

from redrec.index.config import EmbeddedConfig

LISTS_PER_ROOT = 2  # lists per square root of the number of items: twice as many take 3 times as long to train
ITEMS_PER_LIST = 64  # sampled to train a list's center; more does not raise recall
NUM_ITERATIONS = 6
ADDED_ITEMS = 65_536  # at a time: bounds memory
SPARE = 1.2  # candidates per result: rounding exchanges neighbours in rank, not distant ones
MIN_SPARE = 10
SEED = 0


class Clusters:
    """Finds candidates among the allowed items of a catalog."""

    def __init__(self, embeddings_ND: NDArray[np.floating], config: EmbeddedConfig) -> None:
        num_items, dim = embeddings_ND.shape
        num_lists = min(num_items, round(LISTS_PER_ROOT * num_items**0.5))
        centers = faiss.IndexFlatIP(dim)
        eight_bits, inner_product = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        self.config = config
        self.lists = faiss.IndexIVFScalarQuantizer(centers, dim, num_lists, eight_bits, inner_product)
        self.lists.cp.niter, self.lists.cp.spherical, self.lists.cp.min_points_per_centroid = NUM_ITERATIONS, True, 1
        num_sampled = min(num_items, num_lists * ITEMS_PER_LIST)
        sample_S = np.sort(np.random.default_rng(SEED).choice(num_items, num_sampled, replace=False))
        self.lists.train(np.asarray(embeddings_ND[sample_S], np.float32))
        for start in range(0, num_items, ADDED_ITEMS):
            self.lists.add(np.asarray(embeddings_ND[start : start + ADDED_ITEMS], np.float32))

    def candidates(
        self, queries_QD: NDArray[np.float32], k: int, is_allowed_N: NDArray[np.bool_], num_allowed: int
    ) -> NDArray[np.int64]:
        """Return a few more than k allowed items for each query, `items_QC`, in no order that matters.

        The fewer items are allowed, the more lists are read. If a query finds fewer than k, all lists are read for all
        of them. So k are found where k exist; then the rows end in -1.
        """
        num_lists, num_wanted = self.lists.nlist, min(k, num_allowed)
        bits = np.packbits(is_allowed_N, bitorder="little")
        num_read = min(num_lists, round(self.config.lists_share * num_lists * len(is_allowed_N) / num_allowed) + 1)
        items_QC = self._read(queries_QD, k, bits, num_read)
        if (items_QC >= 0).sum(1).min() < num_wanted:
            items_QC = self._read(queries_QD, k, bits, num_lists)
        return items_QC

    def _read(
        self, queries_QD: NDArray[np.float32], k: int, bits: NDArray[np.uint8], num_lists: int
    ) -> NDArray[np.int64]:
        parameters = faiss.SearchParametersIVF(sel=faiss.IDSelectorBitmap(bits), nprobe=num_lists)
        num_candidates = max(round(SPARE * k), k + MIN_SPARE)
        items_QC: NDArray[np.int64] = self.lists.search(queries_QD, num_candidates, params=parameters)[1]
        return items_QC
