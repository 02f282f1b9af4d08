"""Index configuration, apart from pymilvus: a manifest is read without it."""

from pydantic import Field

from redrec.config import Config
from redrec.index.milvus_config import MilvusConfig


class IndexConfig(Config):
    milvus: MilvusConfig = MilvusConfig()
    min_recall: float = Field(default=0.9, ge=0, le=1)  # at 10; FLAT has 1.0, HNSW 0.99 on clustered vectors
