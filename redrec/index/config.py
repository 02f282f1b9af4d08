"""Index configuration, apart from pymilvus: a manifest is read without it."""

from typing import Self

from pydantic import Field, NonNegativeInt

from redrec.config import Config
from redrec.index.merge import Policy
from redrec.index.milvus_config import MilvusConfig


class EmbeddedConfig(Config):
    """How the embedded index searches; measured by `tests/benchmarks/index_embedded.py`.

    A build raises `lists_share` where the recall demands it.
    """

    max_exact_items: NonNegativeInt = 50_000  # exact search takes 2 ms of CPU there, clusters 1
    lists_share: float = Field(default=0.2, gt=0, le=1)  # of clusters, read by a query; recall@100 is 0.99 at 1 M

    def with_wider_search(self, num_rows: int) -> Self | None:
        """Return the configuration whose searches read twice as many clusters; None where all are read."""
        if num_rows <= self.max_exact_items or self.lists_share == 1:
            return None
        return self.model_copy(update={"lists_share": min(1.0, 2 * self.lists_share)})


class IndexConfig(Config):
    """How an index is built, searched, merged and verified; without a server, `embedded`, with one, `milvus`."""

    embedded: EmbeddedConfig = EmbeddedConfig()
    milvus: MilvusConfig = MilvusConfig()
    policy: Policy = "max"  # of the merge; measured by `tests/benchmarks/policies.py`
    min_recall: float = Field(default=0.95, ge=0, le=1)  # of every filter, at 10 and 100; HNSW has 0.97 at 100
    max_norm_error: float = Field(default=0.01, gt=0, lt=1)  # of an embedding; float16 at D = 64 has 0.0005

    def with_wider_search(self, num_rows: int, *, is_on_server: bool) -> Self | None:
        """Return the configuration whose searches read twice as much of the same index; None if none may."""
        wider = (self.milvus if is_on_server else self.embedded).with_wider_search(num_rows)
        return None if wider is None else self.model_copy(update={"milvus" if is_on_server else "embedded": wider})
