"""Index configuration, apart from pymilvus: a manifest is read without it."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from redrec.config import Config


class EmbeddedConfig(Config):
    """How the embedded index searches; measured by `tests/benchmarks/index_embedded.py`."""

    max_exact_items: NonNegativeInt = 50_000  # exact search takes 2 ms of CPU there, clusters 1
    lists_share: float = Field(default=0.2, gt=0, le=1)  # of the clusters, read by a query; recall@100 is 0.99 at 1 M


class IndexConfig(Config):
    """The index types that embedded and server Milvus both build as named, and their parameters.

    A further type is a name here, and its parameters in the two methods. Without a server, `embedded` alone counts.
    """

    embedded: EmbeddedConfig = EmbeddedConfig()
    index_type: Literal["FLAT", "HNSW"] = "FLAT"
    hnsw_m: int = Field(default=16, ge=2, le=2048)
    hnsw_ef_construction: PositiveInt = 200
    hnsw_min_ef: PositiveInt = 200  # of a search; recall@100 is 0.97 on 100 k clustered vectors, with 100 it is 0.95
    min_recall: float = Field(default=0.95, ge=0, le=1)  # of every filter, at 10 and 100; HNSW has 0.97 at 100
    max_norm_error: float = Field(default=0.01, gt=0, lt=1)  # of an embedding; float16 at D = 64 has 0.0005

    @property
    def build_params(self) -> dict[str, int]:
        is_hnsw = self.index_type == "HNSW"
        return {"M": self.hnsw_m, "efConstruction": self.hnsw_ef_construction} if is_hnsw else {}

    def search_params(self, k: int) -> dict[str, int]:
        return {"ef": max(self.hnsw_min_ef, k)} if self.index_type == "HNSW" else {}
