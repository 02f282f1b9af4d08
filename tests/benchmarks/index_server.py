"""The index on a Milvus server: build and searches of generated vectors, beside faiss in process and exact search.

    python -m tests.benchmarks.index_server --items 1000000 --json

The vectors have 64 dimensions and lie in clusters of unequal size inside wider ones, as embeddings of items do. They are
written block by block, and built by `redrec.index.milvus.build_collection` in a process of its own, whose memory is
measured, on the real server of the package `milvus`. `ef` is the least of `EFS` with a recall@100 of .95 on the server; for
faiss that, and the least with the server's recall. Queries are items with noise. The filter allows 1 % of the items. Searches are one at a time, of one, four
or sixteen queries a call.

Shapes: N items, Q queries, D embedding, K results, B block, C clusters, M wide clusters.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from redrec.index.connection import connect
from redrec.index.exact import exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.milvus import build_collection, collection_name
from redrec.index.milvus_config import IndexType, MilvusConfig
from redrec.index.recall import score_recall
from redrec.index.search import ItemIndex
from redrec.index.server import MilvusServer
from tests.benchmarks.measure import commit, cpu_s, peak_mib, say, status_mib, used
from tests.milvus_server import milvus_server

DIM, K, BLOCK = 64, 100, 50_000
CLUSTERS_PER_WIDE, ITEMS_PER_CLUSTER = 20, 200
WIDE_SPREAD, SPREAD, QUERY_NOISE = 0.7, 0.6, 0.5  # of the norm of what it is added to
EFS, LEAST_RECALL = (100, 150, 200, 300, 400, 600, 800), 0.95
EQUAL_RECALL = 0.002  # at most so much below the server's
NUM_QUERIES, NUM_CALLS, WARM_UP = 200, 200, 10
QUERIES_A_CALL = (1, 4, 16)
CATEGORIES, SCENARIOS = 100, ("homefeed", "ads")
ONE_PERCENT, NO_FILTER = ItemFilter(category="category 7"), ItemFilter()
BUNDLE = "0" * 16


class Vectors:
    """Seeded clusters of unequal size inside wider ones."""

    def __init__(self, num_items: int) -> None:
        self.rng = np.random.default_rng(0)
        num_clusters = max(CLUSTERS_PER_WIDE, num_items // ITEMS_PER_CLUSTER)
        wide_MD = unit(self.rng.normal(size=(num_clusters // CLUSTERS_PER_WIDE, DIM)))
        self.centers_CD = self.near(wide_MD[self.rng.integers(len(wide_MD), size=num_clusters)], WIDE_SPREAD)
        share_C = self.rng.lognormal(size=num_clusters)
        self.share_C = share_C / share_C.sum()

    def near(self, vectors_BD: NDArray[np.floating], spread: float) -> NDArray[np.floating]:
        noise_BD = self.rng.normal(size=vectors_BD.shape) * spread / np.sqrt(DIM)
        return unit(vectors_BD + noise_BD)

    def block(self, number: int) -> NDArray[np.floating]:
        return self.near(self.centers_CD[self.rng.choice(len(self.centers_CD), number, p=self.share_C)], SPREAD)


def unit(vectors_BD: NDArray[np.floating]) -> NDArray[np.floating]:
    return vectors_BD / np.linalg.norm(vectors_BD, axis=1, keepdims=True)


def write(folder: Path, num_items: int) -> None:
    """Write items and embeddings as a bundle has them, and the queries."""
    vectors = Vectors(num_items)
    embeddings_ND = open_memmap(folder / "embeddings.npy", mode="w+", dtype=np.float16, shape=(num_items, DIM))
    schema = pa.schema({"item_id": pa.string(), "category": pa.string(), "scenarios": pa.list_(pa.string())})
    with pq.ParquetWriter(folder / "items.parquet", schema) as writer:
        for start in range(0, num_items, BLOCK):
            numbers = range(start, min(start + BLOCK, num_items))
            embeddings_ND[start : numbers.stop] = vectors.block(len(numbers))
            columns = {
                "item_id": [f"item-{i:08d}" for i in numbers],
                "category": [f"category {i % CATEGORIES}" for i in numbers],
                "scenarios": [list(SCENARIOS[: 1 + i % 2]) for i in numbers],
            }
            writer.write_table(pa.table(columns, schema))
    sample = np.sort(vectors.rng.choice(num_items, NUM_QUERIES, replace=False))
    np.save(folder / "queries.npy", vectors.near(embeddings_ND[sample].astype(np.float32), QUERY_NOISE))


def build(folder: Path, server: MilvusServer, config: MilvusConfig) -> dict[str, float]:
    """Build the collection by the product's function; return what this process needed."""
    embeddings_ND = np.load(folder / "embeddings.npy", mmap_mode="r")
    before = {"imports_mib": peak_mib()}
    items = folder / "items.parquet"
    return before | used(lambda: build_collection(server, BUNDLE, items, embeddings_ND, SCENARIOS, config))


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


class Truth:
    """The files, and how much of exact search's answer a search has."""

    def __init__(self, folder: Path) -> None:
        self.embeddings_ND = np.load(folder / "embeddings.npy", mmap_mode="r")
        self.queries_QD = np.load(folder / "queries.npy").astype(np.float32)
        items = pq.read_table(folder / "items.parquet")
        self.item_index = {item: i for i, item in enumerate(items["item_id"].to_pylist())}
        self.catalog = Catalog(items, self.item_index)

    def recall(self, search: Callable[..., NDArray[np.int64]], item_filter: ItemFilter) -> float:
        is_allowed_N = self.catalog.is_allowed(item_filter)
        items_QK = search(self.queries_QD, item_filter)
        exact_QK, _ = exact_search(self.queries_QD, self.embeddings_ND, items_QK.shape[1], is_allowed_N)
        return round(score_recall(items_QK, exact_QK, self.queries_QD, self.embeddings_ND), 4)

    def speed(
        self, search: Callable[..., object], item_filter: ItemFilter, num_calls: int, process: int | None = None
    ) -> dict[str, Any]:
        """Return a call's milliseconds, by the number of queries a call; `process` is the server's."""
        figures = {}
        for size in QUERIES_A_CALL:
            starts = np.random.default_rng(size).integers(NUM_QUERIES - size, size=num_calls + WARM_UP)
            walls = []
            for number, start in enumerate(starts):
                if number == WARM_UP:
                    own_cpu_s, server_cpu_s = time.process_time(), cpu_s(process) if process else 0.0
                wall = time.perf_counter()
                search(self.queries_QD[start : start + size], item_filter)
                walls.append(1000 * (time.perf_counter() - wall))
            cpu_ms = 1000 * (time.process_time() - own_cpu_s) / num_calls
            p50, p99 = np.quantile(walls[WARM_UP:], [0.5, 0.99])
            figures[str(size)] = {
                "queries_per_s": round(1000 * size * num_calls / sum(walls[WARM_UP:])),
                "p50_ms": round(p50, 2),
                "p99_ms": round(p99, 2),
                "cpu_ms": round(cpu_ms, 2),
            }
            if process:
                server_cpu_ms = 1000 * (cpu_s(process) - server_cpu_s) / num_calls
                figures[str(size)]["server_cpu_ms"] = round(server_cpu_ms, 2)
        return figures


def of_server(truth: Truth, server: MilvusServer, config: MilvusConfig, process: int) -> dict[str, Any]:
    recalls: dict[str, float] = {}
    for ef in EFS:
        index = ItemIndex(server, BUNDLE, truth.item_index, config.model_copy(update={"hnsw_min_ef": ef}))

        def search(queries_QD: NDArray[np.float32], item_filter: ItemFilter, index: ItemIndex = index) -> Any:
            return index.search(queries_QD, K, item_filter)[1]

        recalls[str(ef)] = truth.recall(search, NO_FILTER)
        say(f"server, ef {ef}: recall@100 {recalls[str(ef)]}")
        if recalls[str(ef)] >= LEAST_RECALL or config.index(len(truth.item_index)).index_type != "HNSW":
            break
        index.close()
    result = {"recall_by_ef": recalls, "no_filter": truth.speed(search, NO_FILTER, NUM_CALLS, process)}
    result["one_percent"] = truth.speed(search, ONE_PERCENT, NUM_CALLS, process)
    result["one_percent"]["recall"] = truth.recall(search, ONE_PERCENT)
    index.close()
    return result


def of_faiss(truth: Truth, recall_of_server: float) -> dict[str, Any]:
    """Return what a build takes, and per `ef` of at least `LEAST_RECALL` the recall and the speed, up to the server's recall."""
    faiss.omp_set_num_threads(1)
    index, config = faiss.IndexHNSWFlat(DIM, MilvusConfig().hnsw_m, faiss.METRIC_INNER_PRODUCT), MilvusConfig()
    index.hnsw.efConstruction = config.hnsw_ef_construction

    def add() -> None:
        for start in range(0, len(truth.embeddings_ND), BLOCK):
            index.add(truth.embeddings_ND[start : start + BLOCK].astype(np.float32))

    built, of_ef = used(add), {}
    for ef in EFS:
        index.hnsw.efSearch = ef
        recall = truth.recall(lambda queries_QD, _: index.search(queries_QD, K)[1], NO_FILTER)
        of_ef[str(ef)] = {"recall": recall}
        if recall >= LEAST_RECALL:
            of_ef[str(ef)] |= truth.speed(lambda queries_QD, _: index.search(queries_QD, K), NO_FILTER, NUM_CALLS)
        say(f"faiss, ef {ef}: {of_ef[str(ef)]}")
        if recall >= recall_of_server - EQUAL_RECALL:
            break
    return {"build": built, "by_ef": of_ef}


def of_exact(truth: Truth) -> dict[str, Any]:
    allowed = {item_filter: truth.catalog.is_allowed(item_filter) for item_filter in (NO_FILTER, ONE_PERCENT)}

    def search(queries_QD: NDArray[np.float32], item_filter: ItemFilter) -> object:
        return exact_search(queries_QD, truth.embeddings_ND, K, allowed[item_filter])

    return {"no_filter": truth.speed(search, NO_FILTER, 20), "one_percent": truth.speed(search, ONE_PERCENT, 20)}


def server_usage(process: int) -> dict[str, float]:
    """Return CPU seconds, and memory now and at its peak, of the server's process."""
    memory = {name: round(status_mib(process, field)) for name, field in MEMORY_FIELDS.items()}
    return {"cpu_s": cpu_s(process), **memory}


MEMORY_FIELDS = {"mib": "VmRSS", "peak_mib": "VmHWM"}


def disk_mib(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20)


def run(folder: Path, num_items: int, index_type: IndexType | None) -> dict[str, Any]:
    config = MilvusConfig(index_type=index_type)
    in_process(write, folder, num_items)
    say(f"{num_items:,} items written")
    with milvus_server(folder / "server") as started:
        server, process = MilvusServer(uri=f"http://{started.address}", timeout_s=120), started.process.pid
        before = server_usage(process)
        built = in_process(build, folder, server, config)
        say(f"built: {built}")
        result: dict[str, Any] = {"build": {"client": built, "server_before": before}}
        result["build"]["server"] = server_usage(process)
        result["build"]["server_disk_mib"] = disk_mib(folder / "server" / "data")
        say(json.dumps(result))
        truth = Truth(folder)
        result["milvus"] = of_server(truth, server, config, process)
        result["milvus"]["server"] = server_usage(process)
        client = connect(server)
        client.drop_collection(collection_name(BUNDLE))
        client.close()
    say(json.dumps(result))
    result["exact"] = of_exact(truth)
    say(json.dumps(result))
    result["faiss"] = of_faiss(truth, max(result["milvus"]["recall_by_ef"].values()))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.index_server")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    parser.add_argument("--items", type=int, default=100_000, help="size of the catalog (default: 100000)")
    parser.add_argument("--index-type", help="instead of the one that the size calls for")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"benchmark": "index_server", "commit": commit(), "items": arguments.items}
    with tempfile.TemporaryDirectory(prefix="redrec-index-") as folder:
        result |= run(Path(folder), arguments.items, arguments.index_type)
    print(json.dumps(result, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
