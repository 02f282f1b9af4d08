"""Bundle builder: a trained model and its data in, a release bundle with a verified index out.

The bundle has everything that serving one model needs, under one id that is checked before the model is served; its
files are named in `redrec.folders.BundleFolder`.

Shapes: N items, E item vector, D embedding.
"""

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.atomic import replaced_folder
from redrec.bundle.manifest import BundleContent, BundleManifest, IndexManifest
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.split import read_vocabulary
from redrec.evaluation.baselines import popular_items
from redrec.folders import BundleFolder, DataFolder, ModelFolder, read_json, write_json
from redrec.hashing import file_hash
from redrec.history import Vocabulary, now_ms
from redrec.index import milvus
from redrec.index.config import IndexConfig
from redrec.index.embedded import EmbeddedIndex
from redrec.index.filters import Catalog
from redrec.index.recall import FilterRecall, Index, check_recall, low_recalls, measure_recall
from redrec.index.rows import check_rows
from redrec.index.search import ItemIndex
from redrec.index.server import MilvusServer
from redrec.model.manifest import check_model_fits, read_model
from redrec.model.session import tower_dim

logger = logging.getLogger(__name__)

MAX_FALLBACK = 1_000  # as many as a query may want; some are outside their window when it comes


def build_bundle(
    data: Path,
    model: Path,
    out: Path,
    *,
    metrics: Path | None,
    feature_hash: str,
    index: IndexConfig | None = None,
    server: MilvusServer | None = None,
) -> Bundle:
    """Build and verify the index, write the bundle to `out`, and return it loaded.

    It is written next to `out` and replaces it at the end; after a failure `out` is unchanged.

    Args:
        data: Folder written by `redrec.data.prepare`.
        model: Folder written by `redrec.training.trainer`, trained on `data`.
        out: A new folder, or a bundle to replace.
        metrics: The evaluation's metrics.json.
        feature_hash: Hash of the feature definitions that the model is served with.
        index: How the index is built, searched and verified.
        server: Milvus; without it the bundle's own embeddings are searched.

    Raises:
        InputError: `out` has other files and no bundle, `model` does not fit `data`, or the index fails its checks.
    """
    if out.is_dir() and any(out.iterdir()) and not BundleFolder(out).manifest.is_file():
        raise InputError(
            f"{out} holds other files and no {BundleFolder(out).manifest.name}. Give an empty or new folder, or a "
            "bundle to replace."
        )
    with replaced_folder(out) as new:
        folder = BundleFolder(new)
        complete(folder, _write(folder, data, model, metrics, feature_hash), index or IndexConfig(), server)
    return Bundle.of_checked(out)


def _write(folder: BundleFolder, data: Path, model: Path, metrics: Path | None, feature_hash: str) -> BundleContent:
    """Write everything but the manifest, and return what the manifest has of the model."""
    vocabulary, trained = read_vocabulary(data), read_model(model)
    check_model_fits(trained, model, data, vocabulary)
    exported = ModelFolder(model)
    shutil.copyfile(DataFolder(data).items, folder.items)
    shutil.copyfile(exported.tower, folder.tower)
    shutil.copyfile(exported.item_vectors, folder.item_vectors)
    shutil.copyfile(exported.item_embeddings, folder.item_embeddings)
    shutil.copyfile(exported.ranker, folder.ranker)
    write_json(folder.fallback, _fallback(data, vocabulary))
    return BundleContent(
        scenarios=vocabulary.scenarios,
        actions=vocabulary.actions,
        history=trained.history,
        boosts=trained.boosts,
        logit_scale=trained.logit_scale,
        config=trained.recipe,
        feature_hash=feature_hash,
        metrics=None if metrics is None else read_json(metrics),
    )


def complete(folder: BundleFolder, content: BundleContent, index: IndexConfig, server: MilvusServer | None) -> None:
    """Verify the index of a folder that has all other files, with a server build it first, and write the manifest."""
    files = {name: file_hash(folder.path / name) for name in folder.HASHED}
    bundle_id = content.id_with(files, index.policy)
    manifest = BundleManifest(
        **{name: getattr(content, name) for name in BundleContent.model_fields},
        id=bundle_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=git_commit(),
        index=_build_index(folder, bundle_id, content.vocabulary, index, server),
        files=files,
    )
    write_json(folder.manifest, manifest.model_dump(mode="json"))


def _fallback(data: Path, vocabulary: Vocabulary) -> dict[str, list[str]]:
    item_ids = pq.read_table(DataFolder(data).items, columns=["item_id"])["item_id"].to_pylist()
    popular = popular_items(data, MAX_FALLBACK)
    fallback = {}
    for scenario in vocabulary.scenarios:
        fallback[scenario] = [item_ids[i] for i in popular[scenario]]
    return fallback


def _build_index(
    folder: BundleFolder, bundle_id: str, vocabulary: Vocabulary, config: IndexConfig, server: MilvusServer | None
) -> IndexManifest:
    """Check the rows, build the server's collection if there is one, check the recall, and describe the index."""
    items = pq.read_table(folder.items)
    embeddings_ND = np.load(folder.item_embeddings, mmap_mode="r", allow_pickle=False)
    item_ids = items["item_id"].to_pylist()
    _check_vectors(folder, len(item_ids))
    max_norm_error = check_rows(item_ids, embeddings_ND, tower_dim(folder.tower), config.max_norm_error)
    catalog = Catalog(items, {item: i for i, item in enumerate(item_ids)})

    def recall_of(config: IndexConfig) -> tuple[FilterRecall, ...]:
        with _opened(folder, bundle_id, embeddings_ND, catalog, vocabulary, config, server) as index:
            return measure_recall(index, catalog, embeddings_ND, vocabulary.scenarios, now_ms())

    config, recall = _wide_enough(recall_of, config, len(item_ids), is_on_server=server is not None)
    return IndexManifest(
        collection=None if server is None else milvus.collection_name(bundle_id),
        dim=embeddings_ND.shape[1],
        count=len(embeddings_ND),
        config=config,
        max_norm_error=max_norm_error,
        recall=recall,
    )


def _wide_enough(
    recall_of: Callable[[IndexConfig], tuple[FilterRecall, ...]],
    config: IndexConfig,
    num_rows: int,
    *,
    is_on_server: bool,
) -> tuple[IndexConfig, tuple[FilterRecall, ...]]:
    """Return the first configuration that has enough recall, of those that read 1, 2, 4, ... times as much, and it."""
    recall = recall_of(config)
    while low_recalls(recall, config.min_recall):
        wider = config.with_wider_search(num_rows, is_on_server=is_on_server)
        if wider is None:
            break
        logger.info("index recall below %s: searches read twice as much", config.min_recall)
        config, recall = wider, recall_of(wider)
    check_recall(recall, config.min_recall)
    return config, recall


@contextmanager
def _opened(
    folder: BundleFolder,
    bundle_id: str,
    embeddings_ND: NDArray[np.float16],
    catalog: Catalog,
    vocabulary: Vocabulary,
    config: IndexConfig,
    server: MilvusServer | None,
) -> Iterator[Index]:
    """Yield the index as serving opens it; a server's collection is built first."""
    if server is None:
        yield EmbeddedIndex(embeddings_ND, catalog, config.embedded)
        return
    milvus.build_collection(server, bundle_id, folder.items, embeddings_ND, vocabulary.scenarios, config.milvus)
    with closing(ItemIndex(server, bundle_id, catalog.item_index, config.milvus)) as index:
        yield index


def _check_vectors(folder: BundleFolder, num_items: int) -> None:
    array = np.load(folder.item_vectors, mmap_mode="r", allow_pickle=False)
    if array.ndim != 2 or len(array) != num_items or array.dtype != np.float16:
        raise InputError(
            f"{folder.item_vectors.name} is {array.dtype} {array.shape}, but {folder.items.name} has {num_items:,} "
            "rows: one float16 row per item is allowed. Train again on this data folder."
        )


def git_commit() -> str | None:
    """Return the commit of the code: of the source tree, or as the image says; None if nobody knows."""
    if commit := os.environ.get("REDREC_COMMIT"):
        return commit
    here = Path(__file__).parent
    try:
        result = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
