"""The serving image and manifests with KServe's own controller: ready, locked down, and with the answers of a local server."""

import json
import sys
import time
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from feature_repo.definitions import item_source_path
from feature_repo.online import OnlineHistories
from redrec.bundle.reader import Bundle
from redrec.folders import RunFolder
from redrec.history import encode_history, tower_inputs
from redrec.index.merge import Merged
from redrec.index.ranker import RankedQuery
from redrec.model.session import open_tower
from serving.client import post
from tests.cluster.conftest import Cluster, Service
from tests.cluster.tools import ROOT, helm, run

pytestmark = pytest.mark.cluster

K = 10
MAX_TRIES = 10
NUM_USERS = 3
MIN_OVERLAP = 0.9  # with exact search; the bundle refuses an index of lower recall
ROUNDING = 1e-4  # scores of two builds of the same libraries


def redrec_query(service: Service, user: str, scenario: str) -> dict[str, Any]:
    """Query until Milvus answers in time: on a busy machine its stage may exceed the budget."""
    options = ["--user", user, "--scenario", scenario, "--k", str(K), "--url", service.url, "--json"]
    for _ in range(MAX_TRIES):
        answer = json.loads(run(sys.executable, "-m", "cli.main", "query", *options))
        if answer["source"] != "exact":
            break
    return answer


def query_v1(service: Service, users: list[str], scenario: str) -> list[dict[str, Any]]:
    instances = [{"user_id": user, "scenario": scenario, "k": K} for user in users]
    return post(f"{service.url}/v1/models/redrec:predict", {"instances": instances}, 30)["predictions"]


def query_v2(service: Service, users: list[str], scenario: str) -> dict[str, list[Any]]:
    inputs = [
        {"name": "user_id", "shape": [len(users)], "datatype": "BYTES", "data": users},
        {"name": "scenario", "shape": [len(users)], "datatype": "BYTES", "data": [scenario] * len(users)},
        {"name": "k", "shape": [len(users)], "datatype": "INT32", "data": [K] * len(users)},
    ]
    answer = post(f"{service.url}/v2/models/redrec/infer", {"inputs": inputs}, 30)
    return {output["name"]: output["data"] for output in answer["outputs"]}


def item_ids(prediction: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in prediction["items"]]


def scores(prediction: dict[str, Any]) -> list[float]:
    return [item["score"] for item in prediction["items"]]


@pytest.fixture(scope="session")
def users(run_folder: Path) -> list[str]:
    source = sorted((RunFolder(run_folder).features / "sources").glob("*.parquet"))[0]
    return pq.read_table(source, columns=["user_id"])["user_id"].to_pylist()[:NUM_USERS]


def test_redrec_query_gets_the_same_from_the_service_as_from_a_local_process(
    service: Service, local: Service, bundle: Bundle, users: list[str]
) -> None:
    for scenario in bundle.manifest.scenarios:
        there, here = redrec_query(service, users[0], scenario), redrec_query(local, users[0], scenario)
        assert item_ids(there) == item_ids(here)
        assert scores(there) == pytest.approx(scores(here), abs=ROUNDING)
        assert [(answer["source"], answer["reason"]) for answer in (there, here)] == [("model", None)] * 2
        assert there["bundle_id"] == here["bundle_id"] == bundle.manifest.id


def test_both_protocols_give_the_same_items(service: Service, bundle: Bundle, users: list[str]) -> None:
    for scenario in bundle.manifest.scenarios:
        v1, v2 = query_v1(service, users, scenario), query_v2(service, users, scenario)
        assert v2["item_id"] == list(chain.from_iterable(map(item_ids, v1)))


def exact_top_k(run_folder: Path, bundle: Bundle, user: str, scenario: str) -> list[str]:
    """Rank the whole catalog for the user, without index and server: the ranker orders the best by score."""
    history = OnlineHistories(RunFolder(run_folder).features).read(user)
    assert history is not None
    events = encode_history(**history, item_index=bundle.item_index, vocabulary=bundle.vocabulary)
    query_scenario = bundle.manifest.scenarios.index(scenario)
    now_ms = time.time_ns() // 1_000_000
    inputs = tower_inputs([events], [query_scenario], [now_ms], bundle.vectors_NE, bundle.history_config)
    interests_BQD = open_tower(bundle.folder.tower)(inputs)
    is_allowed_N = np.array([scenario in allowed for allowed in bundle.items["scenarios"].to_pylist()])
    score_N = (bundle.embeddings_ND.astype(np.float32) @ interests_BQD[0].T).max(axis=1)
    popular_N = popularity_boosts(run_folder, bundle, scenario, is_allowed_N)
    score_N += popular_N
    query = RankedQuery(interests_BQD[0], events, query_scenario, now_ms)
    own = query.own_boosts(bundle.manifest.boosts[query_scenario], bundle.manifest.logit_scale)
    score_N[own.items_T] += own.boost_T
    num_contenders = max(K, bundle.ranker.num_contenders)
    best_C = np.argsort(-np.where(is_allowed_N, score_N, -np.inf), kind="stable")[:num_contenders]
    best = Merged(best_C, score_N[best_C], np.zeros_like(best_C))
    ranked = bundle.ranker.ranked(best, query, popular_N[best_C], bundle.embeddings_ND)
    return [bundle.item_ids[item] for item in ranked.items_K[:K]]


def popularity_boosts(run_folder: Path, bundle: Bundle, scenario: str, is_allowed_N: np.ndarray) -> np.ndarray:
    """Return the popularity boost of each item, from the statistics in the features."""
    statistics = pq.read_table(RunFolder(run_folder).features / item_source_path(scenario)).to_pandas()
    rates = sum(statistics[f"events_{days}d"] / days for days in (1, 7, 28, 112)) / 4
    rate_N = rates.set_axis(statistics["item_id"]).reindex(bundle.item_ids, fill_value=0).to_numpy() * is_allowed_N
    weights = bundle.manifest.boosts[bundle.manifest.scenarios.index(scenario)]
    return weights.popularity / bundle.manifest.logit_scale * np.log1p(rate_N / rate_N[is_allowed_N].mean())


def test_the_items_are_those_of_exact_search(
    service: Service, run_folder: Path, bundle: Bundle, users: list[str]
) -> None:
    for scenario in bundle.manifest.scenarios:
        for user, prediction in zip(users, query_v1(service, users, scenario), strict=True):
            expected = exact_top_k(run_folder, bundle, user, scenario)
            assert len(set(item_ids(prediction)) & set(expected)) >= MIN_OVERLAP * K


def test_an_unknown_user_gets_the_fallback_list(service: Service, bundle: Bundle) -> None:
    scenario = bundle.manifest.scenarios[0]
    (prediction,) = query_v1(service, ["nobody-knows-me"], scenario)
    assert prediction["source"] == "fallback"
    assert item_ids(prediction) == bundle.fallback[scenario][:K]


PROBE = """
import importlib.util, json, os, pathlib
def is_writable(folder):
    try:
        (pathlib.Path(folder) / "probe").write_text("")
    except OSError:
        return False
    return True
folders = "/", "/opt/redrec", "/mnt/models", "/var/tmp", "/tmp"
print(json.dumps({
    "uid": os.getuid(),
    "writable": [folder for folder in folders if is_writable(folder)],
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")],
    "token": pathlib.Path("/var/run/secrets/kubernetes.io").exists(),
    "importable": [name for name in ("torch", "kfp", "onnxruntime") if importlib.util.find_spec(name)],
}))
"""


def test_the_pod_is_locked_down_and_carries_no_training_packages(cluster: Cluster, service: Service) -> None:
    assert json.loads(cluster.podman("exec", service.container, "python", "-c", PROBE)) == {
        "uid": 10001,
        "writable": ["/tmp"],
        "capabilities": ["0000000000000000"],
        "token": False,
        "importable": ["onnxruntime"],
    }


@pytest.mark.parametrize("shape", ["canary", "default", "object-store", "scheduling", "shared-claim"])
def test_the_api_and_kserve_accept_the_rendered_chart(cluster: Cluster, shape: str) -> None:
    chart = ROOT / "helm" / "redrec"
    values = chart / "ci" / f"{shape}-values.yaml"
    rendered = run(helm(), "template", "dry-run", chart, "--values", values)  # its claim is not that of the service
    cluster.kubectl("apply", "--server-side", "--dry-run=server", "--filename", "-", stdin=rendered)
