"""The embedded index: CPU, time, recall, memory and start of each way to search a catalog without a server.

    python -m tests.benchmarks.index_embedded --items 20000 --json

Generated vectors of 64 numbers around a center for each 200 items, of which some have a hundred times as many items as
others; a fifth of the items is not shown, and a hundredth has the filtered category. A request has three interests, each
near an item, and wants 10, 100 or 500 items of each. Every way is a process of its own with one thread, and its recall
is against exact search. `--way NAME` measures one of them, by the same file of vectors, which `--folder` keeps.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from redrec.index.config import EmbeddedConfig
from redrec.index.embedded import EmbeddedIndex
from redrec.index.exact import SearchResult, exact_search_among
from redrec.index.filters import Catalog, ItemFilter
from tests.benchmarks.measure import ROOT, commit, cpu_s, say, status_mib
from tests.milvus_lite import milvus_lite

DIM, ITEMS_PER_CENTER, SPREAD, NOISE = 64, 200, 0.7, 0.5
NUM_REQUESTS, NUM_INTERESTS, KS = 100, 3, (10, 100, 500)
FILTERS = {"scenario": ItemFilter("ads"), "and category (1 %)": ItemFilter("ads", "rare")}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SLOW_WAYS, MAX_SLOW_ITEMS = ("faiss HNSW, 8 bits", "Milvus Lite, a server"), 100_000  # a million take minutes to build
EVERYTHING = 2**62

Search = Callable[[NDArray[np.float32], int, ItemFilter], SearchResult]


def unit(values_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    return (values_ND / np.linalg.norm(values_ND, axis=1, keepdims=True)).astype(np.float32)


def write_vectors(path: Path, num_items: int) -> None:
    rng, num_centers = np.random.default_rng(0), max(64, num_items // ITEMS_PER_CENTER)
    center_CD = unit(rng.standard_normal((num_centers, DIM)))
    share_C = np.arange(1, num_centers + 1) ** -0.7
    center_N = rng.choice(num_centers, num_items, p=share_C / share_C.sum())
    noise_ND = SPREAD / np.sqrt(DIM) * rng.standard_normal((num_items, DIM), dtype=np.float32)
    np.save(path, unit(center_CD[center_N] + noise_ND).astype(np.float16))


def items_table(num_items: int) -> pa.Table:
    rng = np.random.default_rng(1)
    categories = np.where(rng.random(num_items) < 0.01, "rare", "common")
    is_shown = rng.random(num_items) < 0.8
    scenarios = pa.array([["ads"] if shown else ["homefeed"] for shown in is_shown])
    ids = [f"item-{number}" for number in range(num_items)]
    return pa.table({"item_id": ids, "category": pa.array(categories), "scenarios": scenarios})


def requests(embeddings_ND: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return `interests_RQD`, each near an item."""
    rng = np.random.default_rng(2)
    nearby = embeddings_ND[rng.integers(0, len(embeddings_ND), NUM_REQUESTS * NUM_INTERESTS)].astype(np.float32)
    noise = NOISE / np.sqrt(DIM) * rng.standard_normal(nearby.shape)
    return unit(nearby + noise).reshape(NUM_REQUESTS, NUM_INTERESTS, DIM)


def faiss_search(index: Any, embeddings_ND: NDArray[np.floating], catalog: Catalog, parameters: Any) -> Search:
    """Return a search of a faiss index with exact scores of its candidates."""
    import faiss

    def search(interests_QD: NDArray[np.float32], k: int, item_filter: ItemFilter) -> SearchResult:
        bits = np.packbits(catalog.is_allowed(item_filter), bitorder="little")
        chosen = parameters(k)
        chosen.sel = selector = faiss.IDSelectorBitmap(bits)
        items_QC = index.search(interests_QD, k + max(10, k // 5), params=chosen)[1]
        assert selector is not None  # faiss keeps no reference
        rows = [
            scored(items_C[items_C >= 0], one_1D, embeddings_ND, k)
            for items_C, one_1D in rows_of(items_QC, interests_QD)
        ]
        return padded(rows, k)

    return search


def rows_of(items_QC: NDArray[np.int64], interests_QD: NDArray[np.float32]) -> zip:
    return zip(items_QC, interests_QD[:, None], strict=True)


def scored(
    items_T: NDArray[np.int64], interest_1D: NDArray[np.float32], embeddings_ND: NDArray[np.floating], k: int
) -> NDArray[np.int64]:
    return exact_search_among(items_T, interest_1D, embeddings_ND[items_T], k)[1][0]


def padded(rows: list[NDArray[np.int64]], k: int) -> SearchResult:
    items_QK = np.full((len(rows), k), -1, np.int64)
    for row, items_T in enumerate(rows):
        items_QK[row, : len(items_T)] = items_T
    return np.zeros(items_QK.shape, np.float32), items_QK


def open_faiss(name: str, embeddings_ND: NDArray[np.float16], catalog: Catalog) -> Search:
    import faiss

    vectors_ND, eight_bits = np.asarray(embeddings_ND, np.float32), faiss.ScalarQuantizer.QT_8bit
    if name == "faiss HNSW, 8 bits":
        index = faiss.IndexHNSWSQ(DIM, eight_bits, 16, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 100
        return filled(index, vectors_ND, catalog, lambda k: faiss.SearchParametersHNSW(efSearch=2 * k + 200))
    index = faiss.IndexScalarQuantizer(DIM, eight_bits, faiss.METRIC_INNER_PRODUCT)
    return filled(index, vectors_ND, catalog, lambda k: faiss.SearchParameters())


def filled(index: Any, vectors_ND: NDArray[np.float32], catalog: Catalog, parameters: Any) -> Search:
    index.train(vectors_ND)
    index.add(vectors_ND)
    return faiss_search(index, vectors_ND, catalog, parameters)


def open_milvus(folder: Path, embeddings_ND: NDArray[np.float16], catalog: Catalog) -> tuple[Search, Any]:
    """Return a search of a collection of Milvus Lite, and its server process."""
    from redrec.index.milvus import build_collection
    from redrec.index.milvus_config import MilvusConfig
    from redrec.index.search import ItemIndex

    context = milvus_lite(folder / "milvus")
    server, process = context.__enter__()
    config = MilvusConfig(index_type="FLAT")
    build_collection(server, BUNDLE, folder / ITEMS, embeddings_ND, SCENARIOS, config)
    return ItemIndex(server, BUNDLE, catalog.item_index, config).search, (context, process)


ITEMS, BUNDLE, SCENARIOS = "items.parquet", "a" * 16, ("ads", "homefeed")
WAYS = ("default", "exact", "clusters", "faiss all, 8 bits", "faiss HNSW, 8 bits", "Milvus Lite, a server")


def measure(way: str, folder: Path) -> dict[str, Any]:
    """Measure one way in this process."""
    embeddings_ND = np.load(folder / "vectors.npy", mmap_mode="r")
    items = pq.read_table(folder / ITEMS)
    catalog = Catalog(items, {item: number for number, item in enumerate(items["item_id"].to_pylist())})
    interests_RQD = requests(embeddings_ND)
    exact = EmbeddedIndex(embeddings_ND, catalog, EmbeddedConfig(max_exact_items=EVERYTHING))
    truth = {
        name: [exact.search(one, KS[-1], item_filter)[1] for one in interests_RQD]
        for name, item_filter in FILTERS.items()
    }
    del exact
    before_mib, cpu, wall, server = anonymous_mib(), time.process_time(), time.perf_counter(), None
    if way.startswith("Milvus"):
        search, server = open_milvus(folder, embeddings_ND, catalog)
    elif way.startswith("faiss"):
        search = open_faiss(way, embeddings_ND, catalog)
    else:
        limit = {"default": EmbeddedConfig().max_exact_items, "exact": EVERYTHING, "clusters": 0}[way]
        search = EmbeddedIndex(embeddings_ND, catalog, EmbeddedConfig(max_exact_items=limit)).search
    row: dict[str, Any] = {
        "start_s": round(time.perf_counter() - wall, 2),
        "start_cpu_s": round(time.process_time() - cpu, 2),
    }
    for name, item_filter in FILTERS.items():
        for k in KS:
            row[f"{name}, k = {k}"] = timed_requests(search, interests_RQD, k, item_filter, truth[name], server)
    row["resident_mib"] = round(anonymous_mib() - before_mib if server is None else anonymous_mib(server[1].pid))
    if server is not None:
        server[0].__exit__(None, None, None)
    return row


def anonymous_mib(pid: int | None = None) -> float:
    """Return the memory of a process that is no file which others could share."""
    return status_mib(pid or os.getpid(), "RssAnon")


def timed_requests(
    search: Search, interests_RQD: NDArray[np.float32], k: int, item_filter: ItemFilter, truth: list, server: Any
) -> dict[str, float]:
    walls, results, pids = [], [], [os.getpid()] if server is None else [os.getpid(), server[1].pid]
    for interests_QD in interests_RQD[:10]:
        search(interests_QD, k, item_filter)
    cpu = sum(map(cpu_s, pids))
    for interests_QD in interests_RQD:
        begin = time.perf_counter()
        results.append(search(interests_QD, k, item_filter)[1])
        walls.append(1000 * (time.perf_counter() - begin))
    cpu_ms = 1000 * (sum(map(cpu_s, pids)) - cpu) / len(interests_RQD)
    p50, p99 = np.quantile(walls, [0.5, 0.99])
    figures = {"cpu_ms": cpu_ms, "p50_ms": p50, "p99_ms": p99, f"recall@{k}": recall(results, truth, k)}
    return {name: round(float(value), 4 if name.startswith("recall") else 2) for name, value in figures.items()}


def recall(results: list, truth: list, k: int) -> float:
    num_hits = num_wanted = 0
    for items_QK, exact_QK in zip(results, truth, strict=True):
        for items_K, exact_K in zip(items_QK, exact_QK, strict=True):
            wanted_K = exact_K[:k][exact_K[:k] >= 0]
            num_hits, num_wanted = num_hits + np.isin(wanted_K, items_K).sum(), num_wanted + len(wanted_K)
    return num_hits / num_wanted


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.index_embedded")
    parser.add_argument("--items", type=int, default=20_000, help="items of the catalog (default: 20000)")
    parser.add_argument("--way", choices=WAYS, help="measure this one alone, in this process (default: all, in turn)")
    parser.add_argument("--folder", type=Path, help="where the vectors are (default: a new folder, removed at the end)")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measure(arguments.way, arguments.folder)))
        return
    result: dict[str, Any] = {"benchmark": "index_embedded", "commit": commit(), "items": arguments.items}
    with tempfile.TemporaryDirectory() as scratch:
        write_vectors(Path(scratch) / "vectors.npy", arguments.items)
        pq.write_table(items_table(arguments.items), Path(scratch) / ITEMS)
        for way in WAYS:
            if way in SLOW_WAYS and arguments.items > MAX_SLOW_ITEMS:
                continue
            say(f"{arguments.items:,} items: {way}")
            command = [sys.executable, "-m", "tests.benchmarks.index_embedded", "--way", way, "--folder", scratch]
            environment = os.environ | ONE_THREAD
            done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            result[way] = json.loads(done.stdout)
    print(json.dumps(result, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
