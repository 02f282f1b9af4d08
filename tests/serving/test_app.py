"""A real KServe model server in its own process, queried over HTTP."""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from feature_repo.forget import forget_features
from feature_repo.materialize import materialize
from feature_repo.push import PushedEvent, Pusher
from redrec.bundle.builder import build_bundle
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.person import Person
from redrec.folders import BundleFolder, DataFolder, RunFolder
from redrec.index.exact import exact_search
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.merge import merge_max
from redrec.index.server import MilvusServer
from serving.bodies import PushAnswer, V1Answer
from serving.client import query
from serving.description import DECISION
from tests.bundles import numpy_interests, swap, tiny_run, write_tiny_model
from tests.house.source import ROOT
from tests.milvus_lite import milvus_lite
from tests.redis_server import MISSING, free_port, is_installed, start_redis, stop
from tests.serving.hostile import hostile_requests
from tests.serving.processes import START_S, end, start, wait_until_ready
from tests.serving.retrieval import PATIENT, SEEN

HISTORY = [
    {"item_id": item, "action": "click", "scenario": "homefeed", "timestamp_ms": 1_700_000_000_000 + i}
    for i, item in enumerate(SEEN)
]
TOKEN = "0123456789abcdef"
DASHBOARD = ROOT / "helm" / "redrec" / "dashboard.json"
SHOWN = re.compile(r"(?:by \(([^)]*)\) \(rate\()?(\w+)\{([^}]*)\}")  # labels to group by, metric, selected labels
GUIDE, ROUTE = ROOT / "docs" / "install.md", re.compile(r"`(GET|POST) (/[^`]*)`")
SCRAPED = {"namespace", "job", "pod"}  # labels that Prometheus adds


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run folder, with the data folder in it."""
    folder = tmp_path_factory.mktemp("run")
    tiny_run(folder)
    return RunFolder(folder)


@pytest.fixture(scope="module")
def bundle(run: RunFolder) -> Bundle:
    return Bundle.load(run.bundle)


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(run: RunFolder, metrics_port: int) -> Iterator[tuple[str, subprocess.Popen]]:
    port, config = free_port(), run.path / "serving.json"
    config.write_text(PATIENT.model_dump_json())
    folders = ("--bundle", str(run.bundle), "--features", str(run.features))
    ports = ("--http_port", str(port), "--metrics_port", str(metrics_port))
    process = start(*folders, "--serving_config", str(config), *ports, REDREC_PUSH_TOKEN=TOKEN)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process)
        yield url, process
    finally:
        end(process)


@pytest.fixture(scope="module")
def url(server: tuple[str, subprocess.Popen]) -> str:
    return server[0]


def post(url: str, body: object, **headers: str) -> tuple[int, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urlopen(Request(url, content, {"Content-Type": "application/json"} | headers), timeout=30) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def v1(url: str, *instances: dict) -> tuple[int, Any]:
    return post(f"{url}/v1/models/redrec:predict", {"instances": list(instances)})


def v2(url: str, **tensors: list) -> tuple[int, Any]:
    datatypes = {"k": "INT32", "exclude_seen": "BOOL", "explain": "BOOL"}
    inputs = [
        {"name": name, "shape": [len(values)], "datatype": datatypes.get(name, "BYTES"), "data": values}
        for name, values in tensors.items()
    ]
    return post(f"{url}/v2/models/redrec/infer", {"id": "request-7", "inputs": inputs})


def item_ids(prediction: dict) -> list[str]:
    return [item["item_id"] for item in prediction["items"]]


def test_the_server_is_ready_without_torch_and_kfp(url: str):
    with urlopen(f"{url}/v2/models/redrec/ready", timeout=30) as response:
        assert json.load(response) == {"name": "redrec", "ready": True}


def test_v1_equals_exact_search_over_the_bundles_vectors(url: str, bundle: Bundle):
    status, body = v1(url, {"user_id": "u", "scenario": "search", "k": 20, "history": HISTORY})
    (prediction,) = body["predictions"]
    is_allowed_N = Catalog(bundle.items, bundle.item_index).is_allowed(ItemFilter("search"))
    interests_QD = numpy_interests(bundle, SEEN, "search")
    exact = merge_max(*exact_search(interests_QD, bundle.embeddings_ND, 20, is_allowed_N), 20)
    assert (status, prediction["source"], prediction["reason"]) == (200, "model", None)
    assert prediction["bundle_id"] == bundle.manifest.id
    assert item_ids(prediction) == [bundle.item_ids[i] for i in exact.items_K]
    assert [item["interest"] for item in prediction["items"]] == exact.interests_K.tolist()


def test_a_pushed_event_counts_in_the_next_answer(url: str, run: RunFolder, bundle: Bundle):
    instance = {"user_id": "user-7", "scenario": "ads", "k": 4, "exclude_seen": True}

    def predict() -> list[str]:
        return item_ids(v1(url, instance)[1]["predictions"][0])

    pusher, before = Pusher(run.features, bundle.item_index), predict()
    event = PushedEvent("user-7", before[0], "ads", bundle.vocabulary.actions[0], time.time_ns() // 1_000_000)
    assert pusher.push([event]).added == 1
    assert before[0] not in predict()  # what the user has seen is not recommended again


def test_a_posted_event_counts_in_the_next_answer_and_a_bad_one_is_refused(url: str, bundle: Bundle):
    instance = {"user_id": "user-8", "scenario": "ads", "k": 4, "exclude_seen": True}
    (first, *_) = item_ids(v1(url, instance)[1]["predictions"][0])
    event = {"user_id": "user-8", "item_id": first, "scenario": "ads", "action": bundle.vocabulary.actions[0]}
    event["timestamp_ms"] = time.time_ns() // 1_000_000
    bad = event | {"item_id": "nowhere"}
    status, answer = post(f"{url}/events", [event, bad], Authorization=f"Bearer {TOKEN}")
    assert status == 200 and PushAnswer.model_validate(answer)
    assert (answer["added"], answer["refused"]) == (1, {"item_id is not in the item table": [bad]})
    assert first not in item_ids(v1(url, instance)[1]["predictions"][0])
    status, answer = post(f"{url}/events", {}, Authorization=f"bearer {TOKEN}")
    assert status == 400 and "JSON list of events" in answer["error"]


@pytest.mark.parametrize("authorization", ["", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}0", "Bearer \xe9"])
def test_events_without_the_token_are_refused(url: str, authorization: str):
    status, answer = post(f"{url}/events", [], Authorization=authorization)
    assert status == 401 and "Bearer TOKEN" in answer["error"]


def test_answers_are_as_described(url: str):
    _, body = v1(url, {"user_id": "nobody", "scenario": "ads"}, {"user_id": "u", "scenario": "ads", "history": HISTORY})
    assert [p.source for p in V1Answer.model_validate(body).predictions] == ["fallback", "model"]
    with urlopen(f"{url}/openapi.json", timeout=30) as response:
        assert "V1Request" in json.load(response)["components"]["schemas"]
    with urlopen(f"{url}/docs", timeout=30) as response:
        assert "/v1/models/redrec:predict" in response.read().decode()


def test_v1_and_v2_give_the_same_items(url: str):
    """A stored user, an unknown user and an inline history, each with its own k; V2 pads the shorter lists."""
    instances = [
        {"user_id": "user-3", "scenario": "ads", "k": 4},
        {"user_id": "nobody", "scenario": "homefeed", "k": 3},
        {"user_id": "u", "scenario": "search", "k": 7, "history": HISTORY},
    ]
    _, body = v1(url, *instances)
    status, response = v2(
        url,
        user_id=[instance["user_id"] for instance in instances],
        scenario=[instance["scenario"] for instance in instances],
        k=[4, 3, 7],
        history=["", "", json.dumps(HISTORY)],
    )
    outputs = {output["name"]: output for output in response["outputs"]}
    assert (status, response["id"], outputs["item_id"]["shape"]) == (200, "request-7", [3, 7])
    ids, scores = outputs["item_id"]["data"], outputs["score"]["data"]
    for row, prediction in enumerate(body["predictions"]):
        assert [item for item in ids[7 * row : 7 * row + 7] if item] == item_ids(prediction)
        assert scores[7 * row] == pytest.approx(prediction["items"][0]["score"] or 0.0, abs=1e-6)
        assert outputs["source"]["data"][row] == prediction["source"]
    assert outputs["source"]["data"] == ["model", "fallback", "model"]


def test_a_stored_user_gets_what_the_same_events_inline_get(url: str, run: RunFolder):
    events = pq.read_table(DataFolder(run.path / "data").events, filters=[("user_id", "==", "user-5")]).to_pylist()
    inline = [
        {"item_id": e["item_id"], "action": e["action"], "scenario": e["scenario"]}
        | {"timestamp_ms": int(e["timestamp"].timestamp() * 1000)}
        for e in events
    ]
    _, body = v1(
        url, {"user_id": "user-5", "scenario": "ads"}, {"user_id": "user-5", "scenario": "ads", "history": inline}
    )
    stored, given = body["predictions"]
    assert stored == given and stored["source"] == "model"


def test_v1_and_v2_explain_alike(url: str):
    instance = {"user_id": "u", "scenario": "ads", "k": 3, "history": HISTORY, "explain": True}
    _, body = v1(url, instance)
    V1Answer.model_validate(body)
    shown = [item["explanation"] for item in body["predictions"][0]["items"]]
    fields = {"user_id": ["u"], "scenario": ["ads"], "k": [3], "history": [json.dumps(HISTORY)]}
    outputs = {output["name"]: output for output in v2(url, **fields, explain=[True])[1]["outputs"]}
    assert [json.loads(text) for text in outputs["explanation"]["data"]] == shown
    assert [event["item_id"] for event in shown[0]["nearest_events"]] and query(url, "u", "ads", explain=True)["items"]


def test_an_unknown_user_gets_the_marked_fallback(url: str, bundle: Bundle):
    prediction = query(url, "nobody", "homefeed", 5)
    assert (prediction["source"], prediction["reason"]) == ("fallback", "unknown_user")
    assert item_ids(prediction) == bundle.fallback["homefeed"][:5]
    assert prediction["items"][0]["score"] is None


def test_the_client_sends_every_option(url: str, bundle: Bundle):
    prediction = query(url, "u", "ads", 48, history=HISTORY, exclude_seen=True, category="Küche")
    categories = dict(zip(bundle.item_ids, bundle.items["category"].to_pylist(), strict=True))
    assert prediction["source"] == "model" and prediction["items"]
    assert {categories[item] for item in item_ids(prediction)} == {"Küche"} and not set(SEEN) & set(
        item_ids(prediction)
    )


@pytest.mark.parametrize(
    ("instance", "allowed"),
    [
        ({"user_id": "u", "scenario": "radio"}, "allowed: "),
        ({"user_id": "Jürgen Ö", "scenario": "ads"}, "blanks or control characters"),
        ({"user_id": "u", "scenario": "ads", "k": 1001}, "less than or equal to 1000"),
        ({"user_id": "u", "scenario": "ads", "history": HISTORY * 700}, "at most 2000"),
        ({"scenario": "ads"}, "user_id: missing"),
    ],
)
def test_a_malformed_instance_is_400_with_the_reason(url: str, instance: dict, allowed: str):
    status, body = v1(url, instance)
    assert status == 400 and allowed in body["error"]


def test_malformed_bodies_are_400(url: str):
    predict, infer = f"{url}/v1/models/redrec:predict", f"{url}/v2/models/redrec/infer"
    wrong_type = {"inputs": [{"name": "user_id", "shape": [1], "datatype": "INT32", "data": [5]}]}
    wrong_shape = {"inputs": [{"name": "user_id", "shape": [3], "datatype": "BYTES", "data": ["u"]}]}
    requests = [
        (predict, b"{"),
        (predict, []),
        (predict, {"inputs": []}),
        (infer, {}),
        (infer, wrong_type),
        (infer, wrong_shape),
    ]
    answers = [post(address, body) for address, body in requests]
    assert [status for status, _ in answers] == [400] * 6
    assert "once, as BYTES; seen: INT32" in answers[4][1]["error"] and "does not fit" in answers[5][1]["error"]
    assert v1(url)[0] == 400 and v2(url, user_id=["u 1"], scenario=["ads"])[0] == 400


def test_hostile_requests_are_refused_and_the_next_one_is_answered(url: str, bundle: Bundle):
    statuses = [
        post(f"{url}{path}", body, **headers)[0] for path, body, headers in hostile_requests(HISTORY, 400, seed=1)
    ]
    assert set(statuses) <= {200, 400, 415} and statuses.count(400) > 200
    assert v1(url, {"user_id": "u", "scenario": "ads", "history": HISTORY})[0] == 200


def test_a_long_history_does_not_hold_up_health_checks(url: str):
    instance = {"user_id": "u", "scenario": "ads", "history": HISTORY * (2000 // len(HISTORY))}
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(v1, url, instance, instance) for _ in range(24)]
        seconds = []
        while not all(answer.done() for answer in answers):
            start = time.monotonic()
            with urlopen(f"{url}/v2/health/live", timeout=30):
                seconds.append(time.monotonic() - start)
    assert {answer.result()[0] for answer in answers} == {200}
    assert max(seconds) < 2.5  # half the liveness probe's limit


def test_a_body_beyond_its_limit_is_refused(url: str):
    padding = b" " * (3 * 1024 * 1024)
    with pytest.raises((HTTPError, URLError, ConnectionError)) as refused:
        urlopen(Request(f"{url}/v1/models/redrec:predict", padding, {"Content-Type": "application/json"}), timeout=30)
    if isinstance(refused.value, HTTPError):
        assert refused.value.code == 413
        refused.value.close()


def test_the_clients_error_has_the_servers_reason(url: str):
    with pytest.raises(InputError, match=r"answered 400: .*allowed: "):
        query(url, "u", "radio")
    with pytest.raises(ConnectionError, match="Is `redrec serve` running there"):
        query(f"http://127.0.0.1:{free_port()}", "u", "ads")


def test_the_model_cannot_be_unloaded_over_http_and_has_no_versions(url: str):
    for path, reason in (
        ("repository/models/redrec/unload", "is closed"),
        ("models/redrec/versions/1/infer", "version"),
    ):
        status, answer = post(f"{url}/v2/{path}", {"inputs": []})
        assert (status, reason in answer["error"]) == (400, True)
    assert v1(url, {"user_id": "u", "scenario": "ads"})[0] == 200


@pytest.fixture
def metrics(url: str, metrics_port: int) -> Callable[[], str]:
    """Returns what Prometheus reads of the server."""

    def read() -> str:
        with urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=30) as response:
            return response.read().decode()

    return read


def test_the_port_of_the_protocols_has_the_routes_that_the_guide_lists_and_no_metrics(url: str):
    documented = set(ROUTE.findall(GUIDE.read_text(encoding="utf-8")))
    with urlopen(f"{url}/openapi.json", timeout=30) as response:
        paths = json.load(response)["paths"]
    described = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert documented == described | {("GET", DECISION), ("GET", "/openapi.json"), ("GET", "/docs")}
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"{url}/metrics", timeout=30)


def test_answers_are_counted_by_scenario_and_source(url: str, metrics: Callable[[], str]):
    query(url, "nobody", "search")
    assert 'redrec_answers_total{reason="unknown_user",scenario="search",source="fallback"}' in metrics()


def test_the_server_has_every_metric_and_label_of_the_dashboard(url: str, metrics: Callable[[], str]):
    query(url, "u", "ads")
    families = list(text_string_to_metric_families(metrics()))
    labels = {sample.name: set(sample.labels) for sample in chain.from_iterable(f.samples for f in families)}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            shown = SHOWN.findall(target["expr"])
            assert shown, target["expr"]
            for grouped, name, selected in shown:
                needed = {*grouped.split(", "), *re.findall(r"(\w+)!?=", selected)} - {"", *SCRAPED}
                assert needed <= labels.get(name, set()), f"{panel['title']}: {target['expr']}"


def test_a_second_server_serves_the_bundle_too_without_a_port_for_metrics_and_logs_json(url: str, run: RunFolder):
    port = free_port()
    second = start("--bundle", str(run.bundle), "--http_port", str(port), REDREC_LOG_FORMAT="json")
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", second)
        instance = {"user_id": "u", "scenario": "ads", "history": HISTORY}
        of_both = [v1(one, instance)[1]["predictions"][0] for one in (url, f"http://127.0.0.1:{port}")]
        assert of_both[0] == of_both[1] and of_both[0]["source"] == "model"
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:  # without a port of their own
            assert b"redrec_answers_total" in response.read()
        second.send_signal(signal.SIGTERM)
        _, log = second.communicate(timeout=START_S)
        assert any("items, port" in json.loads(line)["message"] for line in log.splitlines())
    finally:
        end(second)


def test_sigterm_ends_the_server_within_seconds_and_its_log_is_quiet(server: tuple[str, subprocess.Popen]):
    """This stops the server, so it is the last test that uses it."""
    _, process = server
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    log = process.stderr.read()
    assert "Traceback" not in log and len(log.splitlines()) < 5, log
    assert "user-" not in log and "nobody" not in log  # ids of users who were queried


def test_a_bundle_with_a_flipped_bit_in_its_embeddings_is_refused_at_start(bundle: Bundle, tmp_path: Path):
    """The embeddings are the index."""
    folder = Path(shutil.copytree(bundle.path, tmp_path / "bundle"))
    content = bytearray(bundle.folder.item_embeddings.read_bytes())
    content[-1] ^= 1
    BundleFolder(folder).item_embeddings.write_bytes(content)
    process = start("--bundle", str(folder), "--http_port", str(free_port()))
    _, log = process.communicate(timeout=START_S)
    assert process.returncode == 2
    assert "item_embeddings.npy: the manifest says" in log


def test_a_busy_server_refuses_queries_and_is_still_live_and_ready(run: RunFolder, tmp_path: Path):
    """A long request keeps it busy, since one query may wait."""
    port, config = free_port(), tmp_path / "serving.json"
    config.write_text(PATIENT.model_copy(update={"max_waiting": 1}).model_dump_json())
    process = start("--bundle", str(run.bundle), "--serving_config", str(config), "--http_port", str(port))
    url, long = f"http://127.0.0.1:{port}", {"user_id": "u", "scenario": "ads", "k": 40, "history": HISTORY}
    try:
        wait_until_ready(url, process)
        with ThreadPoolExecutor(1) as thread:
            answers = thread.map(lambda _: v1(url, *[long] * 64)[0], range(20))
            refusals = []
            while not refusals:
                status, answer = v1(url, long)
                refusals += [answer["error"]] if status == 429 else []
            for path in ("v2/health/live", "v2/models/redrec/ready"):
                urlopen(f"{url}/{path}", timeout=30).close()
            assert "1 queries wait. Ask again in a second" in refusals[0] and set(answers) <= {200, 429}
        with urlopen(f"{url}/metrics", timeout=30) as response:
            assert 'redrec_refused_requests_total{status="429"}' in response.read().decode()
    finally:
        end(process)


@pytest.fixture
def milvus(tmp_path: Path) -> Iterator[tuple[MilvusServer, subprocess.Popen]]:
    with milvus_lite(tmp_path / "milvus") as server:
        yield server


def test_a_milvus_server_is_used_and_refused_when_swapped_and_replaced_when_down(
    milvus: tuple[MilvusServer, subprocess.Popen], tmp_path: Path, other_bundle: Bundle
):
    """One server start for three facts."""
    milvus_server, process = milvus
    data = Path(shutil.copytree(other_bundle.path.parent / "data", tmp_path / "data"))
    model = write_tiny_model(tmp_path, 3, seed=2)
    bundle = build_bundle(data, model, tmp_path / "bundle", metrics=None, feature_hash="", server=milvus_server)
    assert bundle.manifest.index.collection == f"items_{bundle.manifest.id}"

    port = free_port()
    server = start("--bundle", str(bundle.path), "--http_port", str(port), REDREC_MILVUS_URI=milvus_server.uri)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, server)
        instance = {"user_id": "u", "scenario": "search", "history": HISTORY}
        assert post(f"{url}/events", [])[0] == 404  # no token, no route
        from_index = v1(url, instance)[1]["predictions"][0]
        assert from_index["source"] == "model"

        swap(milvus_server, bundle, other_bundle)
        status, body = v1(url, instance)
        assert status == 503 and bundle.manifest.id in body["error"] and other_bundle.manifest.id in body["error"]

        end(process)
        degraded = v1(url, instance)[1]["predictions"][0]
        assert (degraded["source"], item_ids(degraded)) == ("exact", item_ids(from_index))
    finally:
        end(server)


@pytest.mark.redis
def test_histories_come_from_redis_and_the_fallback_answers_while_it_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One server start for four facts; the last is that a user who is forgotten is unknown to the next query."""
    if not is_installed():
        pytest.skip(MISSING)
    redis_port, port, config = free_port(), free_port(), tmp_path / "serving.json"
    redis = start_redis(redis_port)
    monkeypatch.setenv("REDREC_REDIS", f"localhost:{redis_port}")
    config.write_text(PATIENT.model_dump_json())
    bundle = tiny_run(tmp_path)
    features = RunFolder(tmp_path).features
    folders = ("--bundle", str(bundle.path), "--features", str(features))
    server = start(*folders, "--serving_config", str(config), "--http_port", str(port))

    def predict() -> dict[str, Any]:
        instance = {"user_id": "user-7", "scenario": "ads", "k": 4, "exclude_seen": True}
        return v1(f"http://127.0.0.1:{port}", instance)[1]["predictions"][0]

    try:
        wait_until_ready(f"http://127.0.0.1:{port}", server)
        (first, *_), pusher = item_ids(predict()), Pusher(features, bundle.item_index)
        pusher.push([PushedEvent("user-7", first, "ads", bundle.vocabulary.actions[0], time.time_ns() // 1_000_000)])
        assert first not in item_ids(predict())

        stop(redis)
        degraded = predict()
        assert (degraded["source"], degraded["reason"], len(degraded["items"])) == (
            "fallback",
            "features_unavailable",
            4,
        )

        redis = start_redis(redis_port)
        assert materialize(tmp_path / "data", features)["written"] > 0
        assert predict()["source"] == "model"

        forget_features(features, Person("user-7"))
        assert predict()["reason"] == "unknown_user"
    finally:
        end(server)
        stop(redis)
