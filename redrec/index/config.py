"""Index configuration, apart from pymilvus: a manifest is read without it."""

from pydantic import Field, NonNegativeInt

from redrec.config import Config
from redrec.index.merge import Policy
from redrec.index.milvus_config import MilvusConfig


class EmbeddedConfig(Config):
    """How the embedded index searches; measured by `tests/benchmarks/index_embedded.py`."""

    max_exact_items: NonNegativeInt = 50_000  # exact search takes 2 ms of CPU there, clusters 1
    lists_share: float = Field(default=0.2, gt=0, le=1)  # of the clusters, read by a query; recall@100 is 0.99 at 1 M


class IndexConfig(Config):
    """How an index is built, searched, merged and verified; without a server, `embedded`, with one, `milvus`."""

    embedded: EmbeddedConfig = EmbeddedConfig()
    milvus: MilvusConfig = MilvusConfig()
    policy: Policy = "max"  # of the merge; measured by `tests/benchmarks/policies.py`
    min_recall: float = Field(default=0.95, ge=0, le=1)  # of every filter, at 10 and 100; HNSW has 0.97 at 100
    max_norm_error: float = Field(default=0.01, gt=0, lt=1)  # of an embedding; float16 at D = 64 has 0.0005
