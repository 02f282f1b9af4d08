"""Start: a folder that cannot work is refused before the server's imports."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from serving.address import LOCAL, Address, Addresses
from serving.config_map import MapName
from serving.exposure_topic import TopicName
from serving.start import ExperimentFiles, check_start, say_last_words
from tests.redis_server import free_port


def http() -> Addresses:
    return Addresses(Address(LOCAL, free_port()))


def test_the_folders_are_checked(bundle: Bundle, tmp_path: Path):
    check_start(bundle.path, None, http())
    with pytest.raises(InputError, match="is no bundle"):
        check_start(tmp_path, None, http())
    with pytest.raises(InputError, match=r"has no feature_store\.yaml"):
        check_start(bundle.path, tmp_path, http())


def test_the_allocation_is_a_file_or_a_config_map_and_exposures_go_to_a_folder_or_a_topic():
    parser = ArgumentParser()
    ExperimentFiles.add_arguments(parser)
    words = ["--treatment", "second", "--exposures", "exposures", "--allocation"]
    given = [ExperimentFiles.of(parser.parse_args([*words, name])) for name in ("arms.yaml", "configmap:arms")]
    assert [files and files.allocation for files in given] == [Path("arms.yaml"), MapName("arms")]
    with pytest.raises(InputError, match="names no ConfigMap"):
        ExperimentFiles.of(parser.parse_args([*words, "configmap:a b"]))
    assert given[0] and given[0].exposures == Path("exposures")
    in_topic = ExperimentFiles.of(parser.parse_args([*words, "arms.yaml", "--exposures", "kafka:shop"]))
    assert in_topic and in_topic.exposures == TopicName("shop")
    with pytest.raises(InputError, match="belong together"):
        ExperimentFiles.of(parser.parse_args(words[:2]))


def test_last_words_are_in_the_log_and_in_the_status_of_the_pod(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    log = tmp_path / "termination-log"
    say_last_words("no bundle", log)
    assert not log.exists()  # outside a pod
    log.touch()
    say_last_words("no features", log)
    assert log.read_text(encoding="utf-8") == "no features"
    log.unlink()
    log.mkdir()  # cannot be written
    say_last_words("no index", log)
    assert capsys.readouterr().err == "no bundle\nno features\nno index\n"
