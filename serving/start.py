"""Start: what can be checked before the server's imports, which take seconds, and the loading, which takes more."""

import contextlib
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import NamedTuple

from redrec.bundle.check import check_bundle
from redrec.config import InputError, load_config
from serving.address import Addresses
from serving.config_map import MapName
from serving.exposure_topic import TopicName

TERMINATION_LOG = Path("/dev/termination-log")  # in each container of Kubernetes, by its default


class ExperimentFiles(NamedTuple):
    """What a server needs to serve two arms, besides the control's bundle."""

    treatment: Path
    allocation: Path | MapName
    exposures: Path | TopicName

    @staticmethod
    def add_arguments(parser: ArgumentParser) -> None:
        parser.add_argument(
            "--treatment", type=Path, help="bundle of an experiment's treatment; the other is its control"
        )
        parser.add_argument(
            "--allocation",
            help="YAML or JSON file with fields of redrec.experiments.allocation.Allocation, or configmap:NAME of the "
            "pod's namespace; its changes are followed",
        )
        parser.add_argument(
            "--exposures",
            help="folder to write exposures to, for `redrec gate`, or kafka:TOPIC, with Kafka's address and login in "
            "REDREC_KAFKA_BOOTSTRAP_SERVERS and so on",
        )

    @classmethod
    def of(cls, arguments: Namespace) -> "ExperimentFiles | None":
        """Return the options of a command; None if none is given.

        Raises:
            InputError: Only some are given, or the name of the ConfigMap or the topic is none.
        """
        files = [arguments.treatment, arguments.allocation, arguments.exposures]
        if files == [None, None, None]:
            return None
        if None in files:
            raise InputError(
                "--treatment, --allocation and --exposures belong together: a second bundle, who gets it, and the log "
                "that the experiment is decided from. Give all three, or none."
            )
        allocation = MapName.read(arguments.allocation) or Path(arguments.allocation)
        exposures = TopicName.read(arguments.exposures) or Path(arguments.exposures)
        return cls(arguments.treatment, allocation, exposures)


def check_start(
    bundle: Path,
    features: Path | None,
    addresses: Addresses,
    experiment: ExperimentFiles | None = None,
) -> None:
    """Check the folders or the topic, the allocation and the addresses.

    Raises:
        InputError: One is not what it should be, or the server cannot listen on a port.
    """
    check_bundle(bundle)
    if features is not None:
        from feature_repo.store import checked_config

        checked_config(features, os.environ)
    if experiment is not None:
        from serving.exposures import check_destination

        check_bundle(experiment.treatment)
        check_allocation(experiment.allocation)
        check_destination(experiment.exposures)
    addresses.check()


def check_allocation(named: Path | MapName) -> None:
    from redrec.experiments.allocation import Allocation  # with NumPy
    from serving.mapped_allocation import read_map

    if isinstance(named, MapName):
        read_map(named)
    else:
        load_config(Allocation, named)


def say_last_words(words: str, termination_log: Path = TERMINATION_LOG) -> None:
    """Print why the server ends, and in a pod write it into the status, which `deploy` and the chart's notes read.

    A node that falls back to the log may read it before these lines are in it.
    """
    print(words, file=sys.stderr)
    if termination_log.exists():
        with contextlib.suppress(OSError):  # another user's: the node has the log
            termination_log.write_text(words, encoding="utf-8")
