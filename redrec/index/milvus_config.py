"""Milvus configuration: how a collection is built and searched, apart from pymilvus: a manifest is read without it.

Consistency is that of a search: `Strong` waits until all rows written before it are seen, `Bounded` may miss those of
the last five seconds (`common.gracefulTime` of the server) and does not wait, `Eventually` may miss more. Verification
always reads with `Strong`.
"""

import math
from typing import Literal, NamedTuple, Self

from pydantic import Field, PositiveInt

from redrec.config import Config

# Those that the server and Milvus Lite both build. The server 2.3.5 takes SCANN and DISKANN and never ends building
# them, IVF_PQ took 39 s for 20 k rows; Milvus Lite takes any name, and scans.
IndexType = Literal["FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8"]
MAX_FLAT_ROWS = 20_000  # a scan of 100 k rows takes 23 ms, HNSW 3 ms; of 20 k both take about 4 ms
MAX_EF = 3_200  # that a build raises `hnsw_min_ef` to, where the recall demands it
LISTS_PER_ROOT = 4  # of IVF: 4 * sqrt(N) lists, as Milvus and faiss advise


class BuiltIndex(NamedTuple):
    """The index of one collection."""

    index_type: IndexType
    params: dict[str, int]


class MilvusConfig(Config):
    """A build raises `hnsw_min_ef` and `ivf_probes` where the recall demands it.

    Figures are in `tests/benchmarks/README.md`, of 1 M vectors in clusters.
    """

    index_type: IndexType | None = None  # None: by the number of rows, FLAT or HNSW
    hnsw_m: int = Field(default=16, ge=2, le=2048)
    hnsw_ef_construction: PositiveInt = 200
    hnsw_min_ef: PositiveInt = 200  # of a search; recall@100 is 0.97 on 100 k clustered vectors, with 100 it is 0.95
    ivf_probes: PositiveInt = 64  # lists that a search reads
    consistency: Literal["Strong", "Bounded", "Eventually"] = "Bounded"

    def index(self, num_rows: int) -> BuiltIndex:
        """Return the index of a collection of `num_rows`.

        >>> MilvusConfig().index(10_000).index_type, MilvusConfig().index(1_000_000).index_type
        ('FLAT', 'HNSW')
        """
        index_type: IndexType = self.index_type or ("FLAT" if num_rows <= MAX_FLAT_ROWS else "HNSW")
        if index_type == "HNSW":
            return BuiltIndex(index_type, {"M": self.hnsw_m, "efConstruction": self.hnsw_ef_construction})
        if index_type == "FLAT":
            return BuiltIndex(index_type, {})
        return BuiltIndex(index_type, {"nlist": max(1, round(LISTS_PER_ROOT * math.sqrt(num_rows)))})

    def search_params(self, num_rows: int, k: int) -> dict[str, int]:
        """Return what a search for `k` rows sets: Milvus refuses an `ef` below `k`."""
        index = self.index(num_rows)
        if index.index_type == "HNSW":
            return {"ef": max(self.hnsw_min_ef, k)}
        return {} if index.index_type == "FLAT" else {"nprobe": min(self.ivf_probes, index.params["nlist"])}

    def with_wider_search(self, num_rows: int) -> Self | None:
        """Return the configuration whose searches read twice as much of the same collection; None if none may.

        >>> MilvusConfig().with_wider_search(1_000_000).hnsw_min_ef, MilvusConfig().with_wider_search(1_000)
        (400, None)
        """
        index = self.index(num_rows)
        if index.index_type == "HNSW" and self.hnsw_min_ef < MAX_EF:
            return self.model_copy(update={"hnsw_min_ef": min(2 * self.hnsw_min_ef, MAX_EF)})
        if self.ivf_probes < index.params.get("nlist", 0):
            return self.model_copy(update={"ivf_probes": 2 * self.ivf_probes})
        return None
