"""A tiny bundle on real files: a data folder by `prepare`, a tower of a few ONNX nodes, random item vectors.

The tower's interests are `normalize(mean(vectors) @ P + query)`; `numpy_interests` computes the same in NumPy.
"""

import hashlib
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from redrec.bundle.builder import build_bundle
from redrec.bundle.reader import Bundle
from redrec.bundle.refresh import ITEMS
from redrec.data.columns import ITEM_COLUMNS, WINDOW_COLUMNS
from redrec.data.histories import NEVER
from redrec.data.prepare import prepare
from redrec.data.split import read_vocabulary
from redrec.folders import ModelFolder, ShardFolder, write_json
from redrec.hashing import file_hash
from redrec.history import HistoryConfig
from redrec.index.config import IndexConfig
from redrec.index.connection import connect
from redrec.index.merge import Policy
from redrec.index.milvus import build_collection, collection_name
from redrec.index.milvus_config import MilvusConfig
from redrec.index.ranker import FEATURES, Networks, Ranker
from redrec.index.server import MilvusServer
from redrec.model.boosts import OWN_COUNTS, BoostWeights
from redrec.model.manifest import ModelManifest

SCENARIOS = ("homefeed", "search", "ads")
ACTIONS = ("click", "buy")
CATEGORIES = ("tools", "garden", 'so-called "misc"', "Küche")
NOUNS = ("kettle", "rake", "lamp", "teapot", "ladder", "notebook", "drill", "vase")
NUM_QUERIES, VECTOR_DIM, EMBEDDING_DIM = 3, 12, 8
NO_BOOSTS = BoostWeights(popularity=0.0, own=(0.0,) * len(OWN_COUNTS))
START = datetime(2025, 3, 1, tzinfo=UTC)


Window = tuple[datetime | None, datetime | None]  # from and until


def write_tables(
    folder: Path, num_items: int = 48, num_users: int = 12, seed: int = 0, windows: Sequence[Window] = ()
) -> tuple[Path, Path]:
    """Write events.parquet and items.parquet as a user has them; every third item has one scenario, the others all.

    The windows are those of the first items, of the next ones, and so on.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    items = [
        {
            "item_id": f"item-{i:03d}",
            "title": f"{CATEGORIES[i % 4].title()} {NOUNS[i % 8]} no. {i}",
            "category": CATEGORIES[i % 4],
            "scenarios": [SCENARIOS[i // 3 % 3]] if i % 3 == 0 else list(SCENARIOS),
            **(dict(zip(WINDOW_COLUMNS, windows[i % len(windows)], strict=True)) if windows else {}),
        }
        for i in range(num_items)
    ]
    events = []
    for user in range(num_users):
        for event in range(10):
            item = items[int(rng.integers(num_items))]
            events.append(
                {
                    "user_id": f"user-{user}",
                    "item_id": item["item_id"],
                    "scenario": item["scenarios"][event % len(item["scenarios"])],
                    "action": ACTIONS[event % 2],
                    "timestamp": START + timedelta(minutes=int(rng.integers(60 * 24 * 30)), seconds=user),
                }
            )
    pq.write_table(pa.Table.from_pylist(items), folder / "items.parquet")
    pq.write_table(pa.Table.from_pylist(events), folder / "events.parquet")
    return folder / "events.parquet", folder / "items.parquet"


def write_data(folder: Path, num_items: int = 48, seed: int = 0, windows: Sequence[Window] = ()) -> Path:
    """Write the data folder `folder/data` and return it."""
    prepare(*write_tables(folder / "tables", num_items, seed=seed, windows=windows), folder / "data")
    return folder / "data"


def random_ranker(num_items: int, num_scenarios: int, num_contenders: int) -> Ranker:
    """Return a ranker that orders items by anything but their scores; every fourth item is new."""
    rng, num_hidden = np.random.default_rng(5), 4
    shapes = {"mean_SF": (), "deviation_SF": (), "linear_SF": (), "hidden_SFH": (num_hidden,)}
    scenario = {name: (num_scenarios, len(FEATURES), *rest) for name, rest in shapes.items()}
    scenario |= {"bias_SH": (num_scenarios, num_hidden), "out_SH": (num_scenarios, num_hidden)}
    networks = Networks(**{name: rng.uniform(0.5, 1.5, shape).astype(np.float32) for name, shape in scenario.items()})
    first_ms_N = np.where(np.arange(num_items) % 4, 1_600_000_000_000 + 10**9 * np.arange(num_items), NEVER)
    return Ranker(num_contenders, 1.0, first_ms_N, networks)


def write_tiny_model(
    folder: Path, num_scenarios: int, seed: int = 0, boosts: BoostWeights = NO_BOOSTS, num_contenders: int = 0
) -> Path:
    """Write the model folder `folder/model` (manifest and export, no checkpoint) for `folder/data`; return it.

    Its logit scale is 1.
    """
    rng = np.random.default_rng(seed)
    model = ModelFolder(folder / "model")
    model.export.mkdir(parents=True)
    num_items = pq.read_metadata(folder / "data" / "items.parquet").num_rows
    embeddings_ND = rng.normal(size=(num_items, EMBEDDING_DIM))
    embeddings_ND /= np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    np.save(model.item_embeddings, embeddings_ND.astype(np.float16))
    np.save(model.item_vectors, rng.normal(size=(num_items, VECTOR_DIM)).astype(np.float16))
    weights_ED, queries_SQD = tower_weights(num_scenarios, seed)
    onnx.save(tiny_tower(weights_ED, queries_SQD), model.tower)
    random_ranker(num_items, num_scenarios, num_contenders).save(model.ranker)
    manifest = ModelManifest(
        vocabulary=read_vocabulary(folder / "data"),
        items_hash=file_hash(folder / "data" / "items.parquet"),
        history=HistoryConfig(policy="quota_2d", max_events_per_scenario=8),
        num_interests=NUM_QUERIES,
        logit_scale=1.0,
        boosts=(boosts,) * num_scenarios,
        seed=seed,
        figures={},
        recipe={},
    )
    write_json(model.manifest, manifest.model_dump(mode="json"))
    return model.path


def tower_weights(num_scenarios: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng([seed, 1])
    weights_ED = rng.normal(size=(VECTOR_DIM, EMBEDDING_DIM)).astype(np.float32)
    queries_SQD = rng.normal(size=(num_scenarios, NUM_QUERIES, EMBEDDING_DIM)).astype(np.float32)
    return weights_ED, queries_SQD


def tiny_tower(weights_ED: NDArray[np.float32], queries_SQD: NDArray[np.float32]) -> onnx.ModelProto:
    """Return a tower with the inputs and output of the real one."""
    integers = ("action_BL", "scenario_BL", "hour_BL", "gap_BL")
    inputs = [
        helper.make_tensor_value_info("vectors_BLE", TensorProto.FLOAT, ["B", "L", VECTOR_DIM]),
        *(helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "L"]) for name in integers),
        helper.make_tensor_value_info("is_event_BL", TensorProto.BOOL, ["B", "L"]),
        helper.make_tensor_value_info("query_scenario_B", TensorProto.INT64, ["B"]),
    ]
    output = helper.make_tensor_value_info("interests_BQD", TensorProto.FLOAT, ["B", NUM_QUERIES, EMBEDDING_DIM])
    constants = {
        "weights_ED": weights_ED,
        "queries_SQD": queries_SQD,
        "axis_1": np.array([1], dtype=np.int64),
        "axis_2": np.array([2], dtype=np.int64),
        "one": np.array(1, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["is_event_BL"], ["weight_BL"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weight_BL", "axis_2"], ["weight_BL1"]),
        helper.make_node("Mul", ["vectors_BLE", "weight_BL1"], ["kept_BLE"]),
        helper.make_node("ReduceSum", ["kept_BLE", "axis_1"], ["sum_B1E"], keepdims=1),
        helper.make_node("ReduceSum", ["weight_BL1", "axis_1"], ["count_B11"], keepdims=1),
        helper.make_node("Max", ["count_B11", "one"], ["divisor_B11"]),
        helper.make_node("Div", ["sum_B1E", "divisor_B11"], ["mean_B1E"]),
        helper.make_node("MatMul", ["mean_B1E", "weights_ED"], ["user_B1D"]),
        helper.make_node("Gather", ["queries_SQD", "query_scenario_B"], ["query_BQD"]),
        helper.make_node("Add", ["user_B1D", "query_BQD"], ["raw_BQD"]),
        helper.make_node("LpNormalization", ["raw_BQD"], ["interests_BQD"], axis=-1, p=2),
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny_tower", inputs, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def numpy_interests(bundle: Bundle, item_ids: list[str], scenario: str, seed: int = 0) -> NDArray[np.float32]:
    """Return `interests_QD` of the tiny tower for a history of at most 8 known events per scenario."""
    weights_ED, queries_SQD = tower_weights(len(bundle.manifest.scenarios), seed)
    vectors_LE = bundle.vectors_NE[[bundle.item_index[item] for item in item_ids]].astype(np.float32)
    raw_QD = vectors_LE.mean(axis=0) @ weights_ED + queries_SQD[bundle.manifest.scenarios.index(scenario)]
    return raw_QD / np.linalg.norm(raw_QD, axis=1, keepdims=True)


def tiny_run(
    folder: Path,
    num_items: int = 48,
    seed: int = 0,
    boosts: BoostWeights = NO_BOOSTS,
    num_contenders: int = 0,
    policy: Policy = "max",
    windows: Sequence[Window] = (),
) -> Bundle:
    """Build `folder/data`, `folder/features` and `folder/bundle` of the same content."""
    from feature_repo.materialize import materialize

    features = materialize(write_data(folder, num_items, seed, windows), folder / "features")
    model = write_tiny_model(folder, len(SCENARIOS), seed, boosts, num_contenders)
    feature_hash, index = features["feature_hash"], IndexConfig(policy=policy)
    return build_bundle(folder / "data", model, folder / "bundle", metrics=None, feature_hash=feature_hash, index=index)


def tiny_bundle(folder: Path, num_items: int = 48, seed: int = 0, feature_hash: str = "0" * 16) -> Bundle:
    """Build `folder/bundle` on `folder/data` and `folder/model`, and return it loaded."""
    data = write_data(folder, num_items, seed)
    model = write_tiny_model(folder, len(SCENARIOS), seed)
    return build_bundle(data, model, folder / "bundle", metrics=None, feature_hash=feature_hash)


def hashed_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of every file that is hashed from now on."""
    names: list[str] = []
    file_digest = hashlib.file_digest

    def noted(file: BinaryIO, algorithm: str) -> object:
        names.append(Path(file.name).name)
        return file_digest(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    return names


def item_rows(*rows: dict[str, object]) -> pa.Table:
    """Return items as `redrec.data.item_table` writes them; without scenarios, an item may be shown in all."""
    shown = {"scenarios": list(SCENARIOS)}
    return pa.Table.from_pylist([dict.fromkeys(ITEM_COLUMNS) | shown | row for row in rows], schema=ITEMS)


def planted_embed(items: Path, out: Path) -> None:
    """Embed a table of items: the embedding of an item depends on its title alone."""
    titles = pq.read_table(items, columns=["title"])["title"].to_pylist()
    vectors = {"item_vectors": VECTOR_DIM, "item_embeddings": EMBEDDING_DIM}
    for name, dim in vectors.items():
        rows = [np.random.default_rng(zlib.crc32(title.encode())).normal(size=dim) for title in titles]
        unit_MX = np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
        np.save(getattr(ShardFolder(out), name), unit_MX.astype(np.float16))


def upload(server: MilvusServer, bundle: Bundle) -> None:
    """Put a bundle's collection on a server, if it is not there."""
    manifest = bundle.manifest
    rows = bundle.folder.items, bundle.embeddings_ND, manifest.scenarios
    build_collection(server, manifest.id, *rows, MilvusConfig())


def swap(server: MilvusServer, bundle: Bundle, other: Bundle) -> None:
    """Put another bundle's rows under this bundle's collection name."""
    client, name = connect(server), collection_name(bundle.manifest.id)
    client.drop_collection(name)
    upload(server, other)
    client.rename_collection(collection_name(other.manifest.id), name)
    client.load_collection(name)
    client.close()
