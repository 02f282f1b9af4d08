"""Exposure topic: rows as messages of a Kafka topic, for many servers that share no folder.

A message is a JSON object whose fields are the columns of the files. Its key is the user's id, so the rows of a user
stay in order. The producer is idempotent and waits for all replicas: a retry writes no row twice. While the broker is
away, rows wait in the log's queue and in the client, there for `message.timeout.ms`; then they are lost, and counted.

The client is librdkafka. Each of its settings is a variable: `REDREC_KAFKA_BOOTSTRAP_SERVERS` is `bootstrap.servers`,
`REDREC_KAFKA_SASL_PASSWORD` is `sasl.password`. So an address, and what a Secret holds, are in no file or text.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from redrec.config import InputError
from redrec.data import columns as c

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

logger = logging.getLogger(__name__)

PREFIX = "kafka:"
VARIABLES = "REDREC_KAFKA_"
SERVERS = "bootstrap.servers"
FIXED = {
    "enable.idempotence": "true",  # and with it acks=all
    "allow.auto.create.topics": "false",  # with a broker's default partitions and replicas; a typo would be a topic
    "queue.buffering.max.messages": "0",  # the log's queue is the bound
    "log_level": "2",  # a line for each attempt to connect is too much; the last problem is in the server's own log
}
CHECK_S = 10.0  # for a first answer, with TLS and a login
LATE_S = 10.0  # a broker answers within milliseconds
MAX_NAME = 249 - len(".interleaved")  # of Kafka's limit


class TopicName(NamedTuple):
    name: str

    def __str__(self) -> str:
        return PREFIX + self.name

    @property
    def interleaved(self) -> "TopicName":
        return TopicName(f"{self.name}.interleaved")

    @classmethod
    def read(cls, text: str) -> "TopicName | None":
        """Return the topic that a text names; None if it names a folder.

        >>> TopicName.read("kafka:exposures"), TopicName.read("exposures")
        (TopicName(name='exposures'), None)

        Raises:
            InputError: It begins as the name of a topic and is none.
        """
        if not text.startswith(PREFIX):
            return None
        name = text.removeprefix(PREFIX)
        if not re.fullmatch(rf"[-.\w]{{1,{MAX_NAME}}}", name, re.ASCII):
            raise InputError(
                f"{text!r} names no Kafka topic. Give {PREFIX}TOPIC, of 1 to {MAX_NAME} letters, digits and . _ -"
            )
        return cls(name)


class RowsLostError(OSError):
    """Some rows are not in the topic; the others are."""

    def __init__(self, num_rows: int, reason: str) -> None:
        super().__init__(reason)
        self.num_rows = num_rows


class ExposureTopic:
    """A topic that one thread appends to."""

    def __init__(self, topic: TopicName, environment: Mapping[str, str]) -> None:
        self.topic, self.settings = topic.name, client_settings(environment)
        self.problems: list[KafkaError] = []  # of connections
        self.producer = new_producer(self.settings, self.problems.append)

    def append(self, rows: Sequence[NamedTuple]) -> None:
        """Append the rows, and return when the brokers have them.

        Raises:
            RowsLostError: They did not take some of them in time, or refused them.
        """
        from confluent_kafka import KafkaException

        num_written, refusals = 0, []

        def reported(error: "KafkaError | None", _: "Message") -> None:
            nonlocal num_written
            if error is None:
                num_written += 1
            else:
                refusals.append(error)

        for row in rows:
            fields = row._asdict()
            try:
                self.producer.produce(self.topic, json.dumps(fields), fields[c.USER_ID], on_delivery=reported)
            except KafkaException as refusal:
                refusals.append(refusal.args[0])
        try:
            self._wait()
        except KafkaException as end:  # this producer takes no row any more
            refusals.append(end.args[0])
            self.producer = new_producer(self.settings, self.problems.append)
        reasons = [errors[-1].str() for errors in (refusals, self.problems) if errors]
        self.problems.clear()
        if num_written < len(rows):
            raise RowsLostError(len(rows) - num_written, "; ".join(reasons))

    def _wait(self) -> None:
        """Return when each row is in the topic or lost."""
        if num_waiting := self.producer.flush(LATE_S):
            logger.warning("exposures: %d rows wait for topic %s: %s", num_waiting, self.topic, last_of(self.problems))
            self.producer.flush()

    def close(self) -> None:
        """Do nothing: `append` leaves no row behind."""


def check_topic(topic: TopicName, environment: Mapping[str, str]) -> None:
    """Check that the brokers answer and have the topic, and that of interleaved lists.

    Raises:
        InputError: They do not, or a setting or the client's package is missing.
    """
    settings = client_settings(environment)
    problems: list[KafkaError] = []
    producer = new_producer(settings, problems.append)
    from confluent_kafka import KafkaException

    for name in (topic.name, topic.interleaved.name):
        try:
            refusal = producer.list_topics(name, timeout=CHECK_S).topics[name].error
        except KafkaException as error:
            producer.poll(0)  # for the problems
            raise InputError(
                f"No Kafka broker answers at {settings[SERVERS]}: {last_of([error.args[0], *problems])}. Set "
                f"{variable(SERVERS)} to HOST:PORT, and what they ask for likewise, as {variable('security.protocol')}."
            ) from error
        if refusal is not None:
            raise InputError(
                f"Kafka at {settings[SERVERS]} does not give topic {name}: {refusal.str()}. Create {topic.name} and "
                f"{topic.interleaved.name}, and let the server's user write to them."
            )


def client_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of librdkafka that the environment has.

    >>> client_settings({"REDREC_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "HOME": "/"})
    {'bootstrap.servers': 'kafka:9092'}

    Raises:
        InputError: It has no address.
    """
    settings = {}
    for name, value in environment.items():
        if name.startswith(VARIABLES) and value:
            settings[name.removeprefix(VARIABLES).lower().replace("_", ".")] = value
    if SERVERS not in settings:
        raise InputError(f"Exposures to a Kafka topic need its brokers. Set {variable(SERVERS)} to their HOST:PORT.")
    return settings


def variable(setting: str) -> str:
    """Return the variable of a setting.

    >>> variable("sasl.password")
    'REDREC_KAFKA_SASL_PASSWORD'
    """
    return VARIABLES + setting.upper().replace(".", "_")


def new_producer(settings: Mapping[str, str], on_problem: Callable[["KafkaError"], None]) -> "Producer":
    """Return a client that says by `on_problem` what is wrong with a connection.

    Raises:
        InputError: Its package is missing, or a setting is none or not allowed.
    """
    try:
        from confluent_kafka import KafkaException, Producer
    except ModuleNotFoundError as error:
        raise InputError(
            "Exposures to a Kafka topic need the package confluent-kafka, which is missing. "
            "Install it, pip install 'redrec[kafka]', or give a folder."
        ) from error
    try:
        return Producer({**settings, **FIXED, "error_cb": on_problem})
    except KafkaException as error:
        raise InputError(
            f"Kafka's client refuses its settings: {error.args[0].str()}. Each {VARIABLES}NAME is a setting of "
            "librdkafka, with _ for its dots; correct or unset it."
        ) from error


def last_of(errors: Sequence["KafkaError"]) -> str:
    return errors[-1].str() if errors else "no answer"
