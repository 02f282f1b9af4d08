"""Bundle reader: a release bundle opened for serving, after a check of every file against its manifest.

It imports no torch, DuckDB or Ibis: the serving image has none of them.

Shapes: N items, E item vector, D embedding.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.bundle.check import check_bundle
from redrec.bundle.manifest import BundleManifest, read_manifest
from redrec.config import InputError
from redrec.folders import BundleFolder, read_json
from redrec.hashing import file_hash
from redrec.history import HistoryConfig, Vocabulary
from redrec.index.ranker import Ranker


class Bundle(NamedTuple):
    """A loaded bundle; arrays are memory-mapped and read-only."""

    path: Path
    manifest: BundleManifest
    item_ids: list[str]
    item_index: dict[str, int]
    items: pa.Table
    vectors_NE: NDArray[np.float16]
    embeddings_ND: NDArray[np.float16]
    ranker: Ranker
    fallback: dict[str, list[str]]

    @property
    def folder(self) -> BundleFolder:
        return BundleFolder(self.path)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.manifest.vocabulary

    @property
    def history_config(self) -> HistoryConfig:
        return self.manifest.history

    @staticmethod
    def load(path: Path) -> "Bundle":
        """Read a bundle after checking every file and the id against the manifest.

        Raises:
            InputError: There is no manifest, or a file or the id is not what the manifest says.
        """
        folder = BundleFolder(path)
        check_bundle(path)
        manifest = read_manifest(path)
        _check_files(folder, manifest)
        return _read(folder, manifest)

    @staticmethod
    def of_checked(path: Path) -> "Bundle":
        """Read a bundle without a check, by the process that has just hashed its files to write the manifest."""
        return _read(BundleFolder(path), read_manifest(path))


def _check_files(folder: BundleFolder, manifest: BundleManifest) -> None:
    remedy = "The bundle was changed or only partly copied; copy it again, or build it again."
    if set(manifest.files) != set(folder.HASHED):
        raise InputError(
            f"{folder.manifest} lists {sorted(manifest.files)}, allowed is {sorted(folder.HASHED)}. {remedy}"
        )
    for name, expected in manifest.files.items():
        path = folder.path / name
        actual = file_hash(path) if path.is_file() else "no file"
        if actual != expected:
            raise InputError(f"{path}: the manifest says {expected}, found {actual}. {remedy}")
    actual = manifest.id_with(manifest.files, manifest.index.config.policy)
    if actual != manifest.id:
        raise InputError(f"{folder.manifest}: it calls itself {manifest.id}, its content is {actual}. {remedy}")


def _read(folder: BundleFolder, manifest: BundleManifest) -> Bundle:
    items = pq.read_table(folder.items)
    item_ids = items["item_id"].to_pylist()
    return Bundle(
        path=folder.path,
        manifest=manifest,
        item_ids=item_ids,
        item_index={item: i for i, item in enumerate(item_ids)},
        items=items,
        vectors_NE=np.load(folder.item_vectors, mmap_mode="r", allow_pickle=False),
        embeddings_ND=np.asarray(np.load(folder.item_embeddings, mmap_mode="r", allow_pickle=False)),
        ranker=Ranker.load(folder.ranker, manifest.logit_scale),
        fallback=read_json(folder.fallback),
    )
