"""The served index: the bundle's embeddings in process, or the bundle's collection on a Milvus server.

With a server, the embeddings of a catalog that is small enough are searched in process while the server fails.
"""

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.index.config import EmbeddedConfig
from redrec.index.embedded import EmbeddedIndex
from redrec.index.filters import Catalog
from redrec.index.search import AsyncItemIndex, ItemIndex
from redrec.index.server import URI, MilvusServer
from serving.config import ServingConfig


def open_embedded(bundle: Bundle, catalog: Catalog, config: ServingConfig) -> EmbeddedIndex | None:
    """Return the bundle's embeddings as an index; None if a server has the index and the catalog is large.

    Raises:
        InputError: The bundle was verified with a server's index, and no server is given.
    """
    index = bundle.manifest.index
    if config.milvus is not None:
        only_exact = EmbeddedConfig(max_exact_items=config.max_exact_items)
        is_small = len(bundle.item_ids) <= config.max_exact_items
        return EmbeddedIndex(bundle.embeddings_ND, catalog, only_exact) if is_small else None
    if index.collection is not None:
        raise InputError(
            f"The index of bundle {bundle.manifest.id} is the collection {index.collection} of a Milvus server. "
            f"Set {URI} to that server, or build the bundle without one."
        )
    return EmbeddedIndex(bundle.embeddings_ND, catalog, index.config.embedded)


class ServerIndex:
    """The bundle's collection, verified; `connect` returns a client for the current event loop."""

    def __init__(self, bundle: Bundle, server: MilvusServer) -> None:
        self.server, self.config = server, bundle.manifest.index.config.milvus
        self.bundle_id, self.item_index = bundle.manifest.id, bundle.item_index
        ItemIndex(self.server, self.bundle_id, self.item_index, self.config).close()

    def connect(self) -> AsyncItemIndex:
        return AsyncItemIndex(self.server, self.bundle_id, self.item_index, self.config)
