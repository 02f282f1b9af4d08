"""The served index: a private copy of the bundle's, or that of a Milvus server; it is verified before use."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.index.connection import release_embedded
from redrec.index.search import AsyncItemIndex, ItemIndex
from redrec.index.server import MilvusServer


class ServedIndex:
    """A verified index; `connect` returns a client for the current event loop."""

    def __init__(self, bundle: Bundle, server: MilvusServer | None) -> None:
        self.bundle = bundle
        self._folder: TemporaryDirectory[str] | None = None
        if server is None:
            self._folder = TemporaryDirectory(prefix="redrec-index-")
            server = MilvusServer.model_construct(
                uri=str(copy_embedded(bundle, Path(self._folder.name) / bundle.folder.embedded_index.name))
            )
        self.server = server
        try:
            verified = ItemIndex(server, bundle.manifest.id, bundle.item_index, bundle.manifest.index.config.milvus)
        except InputError:
            self.close()
            raise
        verified.close()

    def connect(self) -> AsyncItemIndex:
        return AsyncItemIndex(
            self.server, self.bundle.manifest.id, self.bundle.item_index, self.bundle.manifest.index.config.milvus
        )

    def close(self) -> None:
        if self._folder is not None:
            release_embedded(Path(self.server.uri))
            self._folder.cleanup()


def copy_embedded(bundle: Bundle, to: Path) -> Path:
    """Copy the embedded index, without file modes: the bundle may be read-only, and Milvus Lite writes."""
    source = bundle.folder.embedded_index
    if not source.is_dir():
        raise InputError(
            f"Bundle {bundle.manifest.id} has no embedded index: its collection {bundle.manifest.index.collection} "
            "is on a Milvus server. Set REDREC_MILVUS_URI to that server."
        )
    to.mkdir(parents=True)
    for path in sorted(source.rglob("*")):
        target = to / path.relative_to(source)
        if path.is_dir():
            target.mkdir()
        else:
            shutil.copyfile(path, target)
    return to
