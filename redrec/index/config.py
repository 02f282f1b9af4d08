"""Index configuration, apart from pymilvus: a manifest is read without it."""

from typing import Literal

from pydantic import Field, PositiveInt

from redrec.config import Config


class IndexConfig(Config):
    """The index types that embedded and server Milvus both build as named, and their parameters.

    A further type is a name here, and its parameters in the two methods.
    """

    index_type: Literal["FLAT", "HNSW"] = "FLAT"
    hnsw_m: int = Field(default=16, ge=2, le=2048)
    hnsw_ef_construction: PositiveInt = 200
    hnsw_min_ef: PositiveInt = 200  # of a search; recall@100 is 0.97 on 100 k clustered vectors, with 100 it is 0.95
    min_recall: float = Field(default=0.9, ge=0, le=1)  # at 10; FLAT has 1.0, HNSW 0.99 on clustered vectors

    @property
    def build_params(self) -> dict[str, int]:
        is_hnsw = self.index_type == "HNSW"
        return {"M": self.hnsw_m, "efConstruction": self.hnsw_ef_construction} if is_hnsw else {}

    def search_params(self, k: int) -> dict[str, int]:
        return {"ef": max(self.hnsw_min_ef, k)} if self.index_type == "HNSW" else {}
