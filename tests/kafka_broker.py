"""A Kafka broker of a test's own: librdkafka's for tests, which speaks the real protocol, in a process of its own.

It keeps its rows in memory. Its port stays the same while it is down.
"""

import ctypes
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

NUM_PARTITIONS = 4
BROKER = 1
PRODUCE = 0  # a type of request
READ_S = 30


class Broker:
    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.address = self._line()

    @property
    def environment(self) -> dict[str, str]:
        return {"REDREC_KAFKA_BOOTSTRAP_SERVERS": self.address, "REDREC_KAFKA_MESSAGE_TIMEOUT_MS": "60000"}

    def create(self, topic: str) -> None:
        self.call("rd_kafka_mock_topic_create", topic, NUM_PARTITIONS, 1)

    def go_down(self) -> None:
        """Close the port and all connections."""
        self.call("rd_kafka_mock_broker_set_down", BROKER)

    def come_up(self) -> None:
        self.call("rd_kafka_mock_broker_set_up", BROKER)

    def refuse_next(self, error: int) -> None:
        """Answer the next request with rows with an error."""
        self.call("rd_kafka_mock_push_request_errors", PRODUCE, 1, error)

    def call(self, function: str, *arguments: str | int) -> None:
        self._input.write(json.dumps([function, *arguments]) + "\n")
        self._input.flush()
        assert self._line() == "done"

    def rows(self, topic: str) -> list[dict[str, str]]:
        """Return all rows of a topic, those of a partition in order."""
        return [json.loads(message.value()) for message in self.messages(topic)]

    def topics(self) -> list[str]:
        from confluent_kafka import Producer

        return list(Producer({"bootstrap.servers": self.address}).list_topics(timeout=READ_S).topics)

    def messages(self, topic: str) -> list[Any]:
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

        settings = {"bootstrap.servers": self.address, "group.id": "tests", "enable.partition.eof": True}
        consumer, messages, num_ended = Consumer(settings), [], 0
        try:
            consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(NUM_PARTITIONS)])
            while num_ended < NUM_PARTITIONS:
                message = consumer.poll(READ_S)
                assert message is not None, f"topic {topic} has no end within {READ_S} s"
                if message.error() is None:
                    messages.append(message)
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    num_ended += 1
        finally:
            consumer.close()
        return messages

    @property
    def _input(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def kafka_broker(*topics: str) -> Iterator[Broker]:
    command = [sys.executable, "-m", "tests.kafka_broker"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            broker = Broker(process)
            for topic in topics:
                broker.create(topic)
            yield broker
        finally:
            process.kill()


def serve() -> None:
    """Print the address, then call one function a line until the end of the input."""
    import confluent_kafka

    folder = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*"))))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    text, settings = ctypes.create_string_buffer(512), ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(settings, b"log_level", b"2", text, len(text))
    client = library.rd_kafka_new(0, settings, text, len(text))
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(ctypes.c_void_p(client), 1))
    print(library.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        values = [value.encode() if isinstance(value, str) else value for value in arguments]
        getattr(library, name)(cluster, *values)
        print("done", flush=True)


if __name__ == "__main__":
    serve()
