"""Start: a port or folder that cannot work is refused before the server's imports."""

import socket
from argparse import ArgumentParser
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from serving.config_map import MapName
from serving.start import ExperimentFiles, check_port, check_start
from tests.redis_server import free_port


@pytest.mark.parametrize("port", [0, -1, 65_536, 99_999])
def test_a_number_that_is_no_port_is_refused(port: int):
    with pytest.raises(InputError, match=rf"Port {port} is not allowed\. Give one of 1 to 65535\."):
        check_port(port)


def test_a_port_in_use_is_refused_and_a_free_one_is_not():
    check_port(free_port())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"cannot listen on port {port}: Address already in use\. Give another"):
            check_port(port)


def test_the_folders_are_checked(bundle: Bundle, tmp_path: Path):
    check_start(bundle.path, None, free_port())
    with pytest.raises(InputError, match="is no bundle"):
        check_start(tmp_path, None, free_port())
    with pytest.raises(InputError, match=r"has no feature_store\.yaml"):
        check_start(bundle.path, tmp_path, free_port())


def test_the_allocation_is_a_file_or_a_config_map():
    parser = ArgumentParser()
    ExperimentFiles.add_arguments(parser)
    words = ["--treatment", "second", "--exposures", "exposures", "--allocation"]
    given = [ExperimentFiles.of(parser.parse_args([*words, name])) for name in ("arms.yaml", "configmap:arms")]
    assert [files and files.allocation for files in given] == [Path("arms.yaml"), MapName("arms")]
    with pytest.raises(InputError, match="names no ConfigMap"):
        ExperimentFiles.of(parser.parse_args([*words, "configmap:a b"]))
    with pytest.raises(InputError, match="belong together"):
        ExperimentFiles.of(parser.parse_args(words[:2]))
