"""The serving configuration: a file and the environment."""

from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.index.server import MilvusServer
from serving.config import ServingConfig, serving_config


def test_the_milvus_address_comes_from_the_environment(tmp_path: Path):
    file = tmp_path / "serving.yaml"
    file.write_text("search_budget_ms: 150\n")
    config = serving_config(file, {"REDREC_MILVUS_URI": "http://milvus:19530"})
    assert (config.search_budget_ms, config.milvus) == (150, MilvusServer(uri="http://milvus:19530"))


def test_every_field_is_read_from_the_file(tmp_path: Path):
    config = ServingConfig(
        milvus=MilvusServer(uri="http://milvus:19530"),
        push_token="0123456789abcdef",
        features_budget_ms=1,
        tower_budget_ms=2,
        search_budget_ms=3,
        event_loop_ms=0.5,
        tower_threads=4,
        max_exact_items=5,
        recall_share=0.5,
        max_waiting=6,
        log_format="json",
    )
    assert not config.model_dump().items() & ServingConfig().model_dump().items()  # no field has its default
    (tmp_path / "serving.json").write_text(config.model_dump_json())
    assert serving_config(tmp_path / "serving.json", {}) == config


def test_the_token_comes_from_the_environment_and_an_empty_one_is_none():
    assert serving_config(None, {"REDREC_PUSH_TOKEN": "0123456789abcdef"}).push_token == "0123456789abcdef"
    assert serving_config(None, {"REDREC_PUSH_TOKEN": ""}).push_token is None


def test_the_format_of_the_log_comes_from_the_environment_too():
    assert serving_config(None, {"REDREC_LOG_FORMAT": "json"}).log_format == "json"
    with pytest.raises(InputError, match="log_format"):
        serving_config(None, {"REDREC_LOG_FORMAT": "xml"})


@pytest.mark.parametrize("token", ["short", "with a blank 0123456789"])
def test_a_weak_token_is_refused_and_never_printed(token: str):
    with pytest.raises(InputError, match="environment: push_token") as refused:
        serving_config(None, {"REDREC_PUSH_TOKEN": token})
    assert token not in str(refused.value)
    assert "0123456789abcdef" not in repr(ServingConfig(push_token="0123456789abcdef"))
