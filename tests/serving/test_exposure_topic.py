"""Exposures in a topic: each row once and in its user's order, on a broker that goes, comes back, or refuses."""

import itertools
import json
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count, product
from pathlib import Path
from urllib.error import URLError

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.experiments.allocation import Allocation
from redrec.experiments.assignment import arm_of
from redrec.experiments.gate import decide
from serving import exposure_topic, exposures
from serving.exposure_topic import ExposureTopic, RowsLostError, TopicName, check_topic
from serving.exposures import (
    NOT_WRITTEN,
    QUEUE_FULL,
    WRITTEN,
    Exposure,
    ExposureLog,
    InterleavedItem,
    check_destination,
    destination,
    interleaved,
)
from serving.start import ExperimentFiles, check_start
from tests.kafka_broker import Broker, kafka_broker
from tests.redis_server import free_port
from tests.serving.experiments import TwoBundles, serving, two_bundles, write_outcomes
from tests.serving.test_exposures import HOSTILE, counted, row, wait_for
from tests.serving.test_start import http

OUT_OF_ORDER = 45  # a broker's error after which an idempotent producer takes no row any more
TOO_LARGE = 10
TOPICS = count()


@pytest.fixture(scope="module")
def running() -> Iterator[Broker]:
    with kafka_broker() as broker:
        yield broker


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> TwoBundles:
    return two_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def broker(running: Broker, monkeypatch: pytest.MonkeyPatch) -> Broker:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(exposures, "GATHER_S", 0.01)
    return running


@pytest.fixture
def topic(broker: Broker) -> TopicName:
    """An empty topic; the broker has it, and that of its interleaved lists."""
    name = TopicName(f"exposures-{next(TOPICS)}")
    broker.create(name.name)
    broker.create(name.interleaved.name)
    return name


def test_each_row_is_in_the_topic_once_as_it_was(broker: Broker, topic: TopicName):
    log, written = ExposureLog(destination(topic)), counted(WRITTEN)
    rows = [row(number, user) for number, user in enumerate(HOSTILE)]
    assert all(log.add(one) for one in rows)
    log.close()
    messages = broker.rows(topic.name)
    assert sorted(tuple(one.values()) for one in messages) == sorted(rows)
    assert {tuple(one) for one in messages} == {Exposure._fields}
    assert counted(WRITTEN) - written == len(rows)


def test_the_rows_of_a_user_are_in_one_partition_and_in_order(broker: Broker, topic: TopicName):
    log = ExposureLog(destination(topic))
    for number in range(2000):
        log.add(row(number, f"u{number % 40}"))
    log.close()
    by_user, partitions = defaultdict(list), defaultdict(set)
    for message in broker.messages(topic.name):
        fields = json.loads(message.value())
        assert message.key().decode() == fields["user_id"]
        by_user[fields["user_id"]].append(int(fields["exposure_id"].removeprefix("e")))
        partitions[fields["user_id"]].add(message.partition())
    assert by_user == {f"u{user}": list(range(user, 2000, 40)) for user in range(40)}
    assert {len(numbers) for numbers in partitions.values()} == {1}
    assert len(set.union(*partitions.values())) == 4


def test_while_the_broker_is_away_rows_wait_and_then_come_once_and_in_order(broker: Broker, topic: TopicName):
    log, lost, slowest_s = ExposureLog(destination(topic)), counted(NOT_WRITTEN), 0.0
    for number in range(900):
        if number == 300:
            broker.go_down()
        if number == 600:
            time.sleep(2)
            broker.come_up()
        began = time.monotonic()
        assert log.add(row(number))
        slowest_s = max(slowest_s, time.monotonic() - began)
        time.sleep(0.001)
    log.close()
    assert [one["exposure_id"] for one in broker.rows(topic.name)] == [f"e{number}" for number in range(900)]
    assert counted(NOT_WRITTEN) == lost and slowest_s < 0.2


def test_a_broker_that_is_away_too_long_loses_rows_and_counts_them(
    broker: Broker, topic: TopicName, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REDREC_KAFKA_MESSAGE_TIMEOUT_MS", "1000")
    log, lost, written = ExposureLog(destination(topic)), counted(NOT_WRITTEN), counted(WRITTEN)
    log.add(row(1))
    wait_for(lambda: counted(WRITTEN) - written == 1)
    broker.go_down()
    for number in range(2, 12):
        assert log.add(row(number))
    wait_for(lambda: counted(NOT_WRITTEN) - lost == 10)
    broker.come_up()
    later = itertools.count(12)  # the client connects again when it will, and till then loses more
    wait_for(lambda: log.add(row(next(later))) and counted(WRITTEN) - written > 1)
    log.close()
    first, *others = [int(one["exposure_id"].removeprefix("e")) for one in broker.rows(topic.name)]
    assert first == 1 and others == sorted(others) and others[0] > 11 and len(others) >= counted(WRITTEN) - written - 1


def test_a_full_queue_loses_rows_counts_them_and_never_waits(broker: Broker, topic: TopicName):
    log, full, written = ExposureLog(destination(topic), max_queued=20), counted(QUEUE_FULL), counted(WRITTEN)
    broker.go_down()
    began = time.monotonic()
    kept = sum(log.add(row(number)) for number in range(1000))
    assert time.monotonic() - began < 0.5
    assert 20 <= kept < 1000 and counted(QUEUE_FULL) - full == 1000 - kept
    broker.come_up()
    log.close()
    assert len(broker.rows(topic.name)) == kept == counted(WRITTEN) - written


def test_what_the_broker_refuses_is_lost_and_the_rest_is_in_the_topic(broker: Broker, topic: TopicName):
    appended = destination(topic)
    broker.refuse_next(TOO_LARGE)
    with pytest.raises(RowsLostError, match="too large") as lost:
        appended.append([row(1)])
    appended.append([row(2)])
    huge = row(3, "u" * 2_000_000)  # the client refuses it
    with pytest.raises(RowsLostError, match="too large") as one_lost:
        appended.append([row(4), huge, row(5)])
    assert (lost.value.num_rows, one_lost.value.num_rows) == (1, 1)
    assert sorted(one["exposure_id"] for one in broker.rows(topic.name)) == ["e2", "e4", "e5"]


def test_a_producer_that_takes_no_rows_any_more_is_replaced(broker: Broker, topic: TopicName):
    appended = destination(topic)
    appended.append([row(1)])
    broker.refuse_next(OUT_OF_ORDER)
    with pytest.raises(RowsLostError):
        appended.append([row(2)])
    appended.append([row(3)])
    assert Counter(one["exposure_id"] for one in broker.rows(topic.name)) == {"e1": 1, "e3": 1}


def test_closing_takes_no_longer_than_it_may_and_counts_what_is_lost(
    broker: Broker, topic: TopicName, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(exposures, "STOP_S", 1.0)
    monkeypatch.setenv("REDREC_KAFKA_MESSAGE_TIMEOUT_MS", "4000")
    log, lost = ExposureLog(destination(topic)), counted(NOT_WRITTEN)
    broker.go_down()
    try:
        log.add(row(1))
        wait_for(lambda: log.num_writing == 1)
        log.add(row(2))
        began = time.monotonic()
        log.close()
        assert time.monotonic() - began < 1.5
        assert counted(NOT_WRITTEN) - lost == 2
    finally:
        broker.come_up()


def test_the_topic_is_checked(broker: Broker, topic: TopicName, tmp_path: Path):
    check_destination(topic)
    assert interleaved(topic) == TopicName(f"{topic.name}.interleaved")
    broker.create("alone")
    with pytest.raises(InputError, match=r"topic alone\.interleaved: .*Unknown topic.*Create alone and alone\.inter"):
        check_topic(TopicName("alone"), broker.environment)
    with pytest.raises(InputError, match="does not give topic missing: "):
        check_topic(TopicName("missing"), broker.environment)
    assert "missing" not in broker.topics()


def test_a_broker_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exposure_topic, "CHECK_S", 1.0)
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(InputError, match=rf"answers at {address}: .*refused.*REDREC_KAFKA_BOOTSTRAP_SERVERS"):
        check_topic(TopicName("t"), {"REDREC_KAFKA_BOOTSTRAP_SERVERS": address})


def test_a_setting_that_is_missing_or_none_is_refused_without_its_value():
    with pytest.raises(InputError, match="Set REDREC_KAFKA_BOOTSTRAP_SERVERS to their HOST:PORT"):
        check_topic(TopicName("t"), {})
    servers = {"REDREC_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}
    with pytest.raises(InputError, match=r'"sasl\.pasword".*correct or unset') as refused:
        check_topic(TopicName("t"), servers | {"REDREC_KAFKA_SASL_PASWORD": "hidden"})
    assert "hidden" not in str(refused.value)
    with pytest.raises(InputError, match="acks.*must be set to `all`.*correct or unset"):
        ExposureTopic(TopicName("t"), servers | {"REDREC_KAFKA_ACKS": "1"})


def test_without_its_package_a_topic_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(InputError, match=r"pip install 'redrec\[kafka\]'"):
        check_topic(TopicName("t"), {"REDREC_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"})


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "x" * 238])
def test_a_name_that_no_topic_has_is_refused(name: str):
    with pytest.raises(InputError, match="names no Kafka topic"):
        TopicName.read(f"kafka:{name}")
    assert str(TopicName.read("kafka:shop.exposures_2")) == "kafka:shop.exposures_2"


def test_a_server_logs_every_answer_up_to_sigterm_once_whatever_the_broker_does(
    broker: Broker, topic: TopicName, bundles: TwoBundles, tmp_path: Path
):
    plan, answered, answer_s = bundles.plan(), [], []

    def ask_until_it_stops(caller: int) -> None:
        with suppress(ConnectionError, URLError):
            for number in count():
                began = time.monotonic()
                server.predict("ads", [user := f"caller-{caller}-{number}"])
                answer_s.append(time.monotonic() - began)
                answered.append(user)

    with serving(bundles, tmp_path, Allocation(plan=plan), exposures=str(topic)) as server:
        with ThreadPoolExecutor(2) as callers:
            running = [callers.submit(ask_until_it_stops, caller) for caller in range(2)]
            time.sleep(1)
            broker.go_down()
            time.sleep(2)
            broker.come_up()
            time.sleep(1)
            server.process.send_signal(signal.SIGTERM)
            wait(running)
        assert [one.result() for one in running] == [None, None]
        assert server.process.wait(timeout=10) == 0
        log = server.process.stderr.read()
    assert len(answered) > 40 and max(answer_s) < 1
    rows = broker.rows(topic.name)
    assert sorted(one["user_id"] for one in rows) == sorted(answered)
    assert {(one["experiment"], one["plan_hash"]) for one in rows} == {("towers-2", plan.hash())}
    assert "Traceback" not in log and "lost" not in log


def test_the_gate_decides_from_the_topics_rows_as_from_the_files(
    broker: Broker, topic: TopicName, bundles: TwoBundles, tmp_path: Path
):
    plan = bundles.plan(days=2, looks=(1, 2), guardrails=())
    moment = (plan.start + timedelta(minutes=1)).isoformat(timespec="milliseconds")
    exposed = []
    for scenario, number in product(plan.scenarios, range(400)):
        arm = arm_of(plan, scenario, user := f"{number:03}").name
        ids = "bundle", plan.hash()
        exposed.append(Exposure(f"{scenario}-{user}", plan.experiment, user, scenario, arm, moment, *ids))
    for named in (topic, tmp_path / "csv"):
        log = ExposureLog(destination(named))
        for one in exposed:
            log.add(one)
        log.close()
    rows, sunk = broker.rows(topic.name), tmp_path / "parquet" / "partition=0"
    (tmp_path / "jsonl").mkdir()
    (tmp_path / "jsonl" / "topic.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    sunk.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), sunk / "topic+0+0000000000.parquet")
    write_outcomes(tmp_path / "outcomes.parquet", rows, {("ads", "treatment"): 3})
    through = plan.start + timedelta(days=1)
    decided = [
        decide(tmp_path / name, tmp_path / "outcomes.parquet", plan, through) for name in ("csv", "jsonl", "parquet")
    ]
    assert decided[0] == decided[1] == decided[2]
    verdicts = {scenario: decision.verdict for scenario, decision in decided[0].scenarios.items()}
    assert verdicts == {"ads": "promote", "homefeed": "hold"}


def test_interleaved_lists_have_a_topic_and_a_server_ends_in_time_without_a_broker(
    broker: Broker, topic: TopicName, bundles: TwoBundles, tmp_path: Path
):
    allocation = Allocation(plan=bundles.plan(start=datetime.now(UTC) + timedelta(hours=1)), interleaves=("ads",))
    with serving(bundles, tmp_path, allocation, exposures=str(topic)) as server:
        shown = server.predict("ads", [f"u{number}" for number in range(10)])
        items = {(one["request_id"], item["item_id"]) for one in shown for item in one["items"]}
        wait_for(lambda: server.metric("redrec_interleaved_items", "written") == len(items))
        rows = broker.rows(topic.interleaved.name)
        broker.go_down()
        try:
            server.predict("ads", ["u1"])
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=10) == 0
        finally:
            broker.come_up()
        log = server.process.stderr.read()
    assert len(items) == 30 and {(one["request_id"], one["item_id"]) for one in rows} == items
    assert {tuple(one) for one in rows} == {InterleavedItem._fields} and len(rows) == 30
    assert broker.rows(topic.name) == []
    assert "3 rows are lost" in log and "Traceback" not in log and "rdkafka" not in log


def test_a_server_does_not_start_without_its_topic(broker: Broker, bundles: TwoBundles, tmp_path: Path):
    (tmp_path / "allocation.json").write_text(Allocation(plan=bundles.plan()).model_dump_json())
    files = ExperimentFiles(bundles.treatment.path, tmp_path / "allocation.json", TopicName("missing"))
    with pytest.raises(InputError, match="does not give topic missing"):
        check_start(bundles.control.path, None, http(), files)
