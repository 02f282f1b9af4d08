"""The release bundle: everything one model needs to answer, under one id that is checked before it answers.

    bundle.json            the manifest, written last: a folder without it is no bundle
    user_tower.onnx        histories in, interests out
    items.parquet          row i is item_index i
    item_vectors.npy       [N, E] float16, what a history is read with
    item_embeddings.npy    [N, D] float16, what interests are searched in
    fallback.json          scenario -> popular item ids, for users without a known history
    index/milvus.db/       the embedded index; absent when the index is on a Milvus server

The id is a hash of content: the files, the vocabulary, the history encoding and the trend's weight. Same content, same
id. The index is not hashed (Milvus Lite rewrites its files when opened); its rows carry the id instead.

Shapes: N items, E item vector, D embedding.
"""

import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import JsonValue

from redrec.config import Config, InputError, load_config, validated
from redrec.data.split import read_vocabulary
from redrec.hashing import file_hash
from redrec.index.trend import TrendConfig
from redrec.model.history import HistoryConfig, Vocabulary
from redrec.staging import staged

MANIFEST = "bundle.json"
TOWER, ITEMS, VECTORS, EMBEDDINGS, FALLBACK = (
    "user_tower.onnx",
    "items.parquet",
    "item_vectors.npy",
    "item_embeddings.npy",
    "fallback.json",
)
HASHED = (EMBEDDINGS, FALLBACK, ITEMS, TOWER, VECTORS)
EMBEDDED_INDEX = Path("index/milvus.db")
MAX_FALLBACK = 100
ID_DIGITS = 16  # 64 bits: two of a million bundles share an id with chance 3e-8
MIN_INDEX_RECALL = 0.9  # at 10; FLAT has 1.0, HNSW 0.99 on clustered vectors, so below this the build went wrong


class IndexManifest(Config):
    collection: str
    metric: str
    dim: int
    count: int
    index_type: str
    is_embedded: bool
    recall: dict[str, float]  # at 10, against exact search, per scenario


class Manifest(Config):
    format: Literal[1] = 1
    id: str
    created_at: str
    git_commit: str | None
    scenarios: tuple[str, ...]
    actions: tuple[str, ...]
    history: HistoryConfig
    trend_weight: float = 0.0  # see `redrec.index.trend`; as a cosine, zero where nothing is raised
    config: dict[str, JsonValue]  # the recipe that trained it
    feature_hash: str
    index: IndexManifest
    metrics: dict[str, JsonValue] | None
    files: dict[str, str]  # relative path -> SHA-256


class Bundle(NamedTuple):
    """A loaded bundle; arrays are memory-mapped and read-only."""

    path: Path
    manifest: Manifest
    item_ids: list[str]
    item_index: dict[str, int]
    items: pa.Table
    vectors_NE: NDArray[np.float16]
    embeddings_ND: NDArray[np.float16]
    fallback: dict[str, list[str]]

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(scenarios=self.manifest.scenarios, actions=self.manifest.actions)

    @property
    def history_config(self) -> HistoryConfig:
        return self.manifest.history

    @staticmethod
    def load(path: Path) -> "Bundle":
        """Read a bundle after checking every file and the id against the manifest.

        Raises:
            InputError: There is no manifest, or a file or the id is not what the manifest says.
        """
        if not (path / MANIFEST).is_file():
            raise InputError(f"{path} is no bundle: it has no {MANIFEST}. Give the folder that build_bundle wrote.")
        manifest = load_config(Manifest, path / MANIFEST)
        _check_files(path, manifest)
        return _read(path, manifest)


def _check_files(path: Path, manifest: Manifest) -> None:
    remedy = "The bundle was changed or copied in part; copy it again, or build it again."
    if set(manifest.files) != set(HASHED):
        raise InputError(f"{path / MANIFEST} lists {sorted(manifest.files)}, allowed is {sorted(HASHED)}. {remedy}")
    for name, expected in manifest.files.items():
        found = file_hash(path / name) if (path / name).is_file() else "no file"
        if found != expected:
            raise InputError(f"{path / name}: the manifest says {expected}, found {found}. {remedy}")
    vocabulary = Vocabulary(scenarios=manifest.scenarios, actions=manifest.actions)
    found = content_id(manifest.files, vocabulary, manifest.history, manifest.trend_weight)
    if found != manifest.id:
        raise InputError(f"{path / MANIFEST}: it calls itself {manifest.id}, its content is {found}. {remedy}")


def _read(path: Path, manifest: Manifest) -> Bundle:
    items = pq.read_table(path / ITEMS)
    item_ids = items["item_id"].to_pylist()
    return Bundle(
        path=path,
        manifest=manifest,
        item_ids=item_ids,
        item_index={item: i for i, item in enumerate(item_ids)},
        items=items,
        vectors_NE=np.load(path / VECTORS, mmap_mode="r", allow_pickle=False),
        embeddings_ND=np.load(path / EMBEDDINGS, mmap_mode="r", allow_pickle=False),
        fallback=json.loads((path / FALLBACK).read_text(encoding="utf-8")),
    )


def content_id(files: dict[str, str], vocabulary: Vocabulary, history: HistoryConfig, trend_weight: float) -> str:
    """Return the bundle id: the files' hashes, the vocabulary, the history encoding and the trend's weight, hashed.

    A bundle that raises nothing has the id that it had before there was a trend.
    """
    content: dict[str, object] = {
        "files": files,
        "vocabulary": vocabulary.model_dump(),
        "history": history.model_dump(),
        **({"trend_weight": trend_weight} if trend_weight else {}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:ID_DIGITS]


def build_bundle(
    data: Path, model: Path, out: Path, *, metrics: Path | None, feature_hash: str, milvus_uri: str | None = None
) -> Bundle:
    """Build and verify the index, write the bundle to `out`, and return it loaded.

    It is written beside its place and renamed at the end; a failure leaves `out` as it was. `metrics` is the
    evaluation's metrics.json. `milvus_uri` names a Milvus server; without it the index is embedded in the bundle.

    Raises:
        InputError: `out` is something else than a bundle, an export does not fit the items, or the index fails
            its checks.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise InputError(
            f"{out} holds other files and no {MANIFEST}. Give an empty or new folder, or a bundle to replace."
        )
    with staged(out) as folder:
        manifest = _write(folder, data, model, metrics, feature_hash, milvus_uri)
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    return Bundle.load(out)


def _write(
    folder: Path, data: Path, model: Path, metrics: Path | None, feature_hash: str, milvus_uri: str | None
) -> Manifest:
    """Write everything but the manifest, and return the manifest."""
    from redrec.evaluation.trend import trend_weight  # brings DuckDB, which a serving image has not

    vocabulary = read_vocabulary(data)
    recipe = json.loads((model / "recipe.json").read_text(encoding="utf-8"))
    history = validated(HistoryConfig, recipe["history"], str(model / "recipe.json"))
    shutil.copyfile(data / ITEMS, folder / ITEMS)
    for name in (TOWER, VECTORS, EMBEDDINGS):
        shutil.copyfile(model / "export" / name, folder / name)
    (folder / FALLBACK).write_text(json.dumps(_fallback(data, vocabulary), indent=1), encoding="utf-8")

    files = {name: file_hash(folder / name) for name in HASHED}
    trend = validated(TrendConfig, recipe.get("trend", {}), str(model / "recipe.json"))
    weight = trend_weight(trend, model)
    bundle_id = content_id(files, vocabulary, history, weight)
    return Manifest(
        id=bundle_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=git_commit(),
        scenarios=vocabulary.scenarios,
        actions=vocabulary.actions,
        history=history,
        trend_weight=weight,
        config=recipe,
        feature_hash=feature_hash,
        index=_build_index(folder, bundle_id, vocabulary, milvus_uri),
        metrics=None if metrics is None else json.loads(metrics.read_text(encoding="utf-8")),
        files=files,
    )


def _fallback(data: Path, vocabulary: Vocabulary) -> dict[str, list[str]]:
    from redrec.evaluation.baselines import popular_items

    item_ids = pq.read_table(data / ITEMS, columns=["item_id"])["item_id"].to_pylist()
    popular = popular_items(data, MAX_FALLBACK)
    return {scenario: [item_ids[i] for i in popular[scenario]] for scenario in vocabulary.scenarios}


def _build_index(folder: Path, bundle_id: str, vocabulary: Vocabulary, milvus_uri: str | None) -> IndexManifest:
    """Build the collection, check it against exact search, and describe it."""
    from redrec.index import milvus
    from redrec.index.filters import Catalog
    from redrec.index.recall import recall_by_scenario

    items = pq.read_table(folder / ITEMS)
    embeddings_ND = np.load(folder / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
    _check_rows(items, folder)
    item_index = {item: i for i, item in enumerate(items["item_id"].to_pylist())}
    embedded = folder / EMBEDDED_INDEX
    if milvus_uri is None:
        embedded.parent.mkdir()
    uri = str(embedded) if milvus_uri is None else milvus.check_server_uri(milvus_uri)
    try:
        milvus.build_collection(uri, bundle_id, items, embeddings_ND, vocabulary.scenarios, milvus.IndexConfig())
        index = milvus.ItemIndex(uri, bundle_id, item_index)
        recall = recall_by_scenario(index, Catalog(items, item_index), embeddings_ND, vocabulary.scenarios)
        index.close()
    finally:
        if milvus_uri is None:
            milvus.release_embedded(embedded)
    poor = {scenario: round(value, 3) for scenario, value in recall.items() if value < MIN_INDEX_RECALL}
    if poor:
        raise InputError(f"The index finds too little of exact search's top 10: {poor}, allowed {MIN_INDEX_RECALL}.")
    return IndexManifest(
        collection=milvus.collection_name(bundle_id),
        metric=milvus.METRIC,
        dim=embeddings_ND.shape[1],
        count=len(embeddings_ND),
        index_type=index.index_type,
        is_embedded=milvus_uri is None,
        recall=recall,
    )


def _check_rows(items: pa.Table, folder: Path) -> None:
    for name in (VECTORS, EMBEDDINGS):
        array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        if array.ndim != 2 or len(array) != items.num_rows or array.dtype != np.float16:
            raise InputError(
                f"{name} is {array.dtype} {array.shape}, but {ITEMS} has {items.num_rows:,} rows: one float16 row per "
                "item is allowed. Train again on this data folder."
            )


def git_commit() -> str | None:
    """Return the commit of the source tree, None where this is no checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
