"""The settings of a Milvus server: what the environment gives, and what is never printed."""

from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.index.server import MilvusServer, check_server_uri, milvus_server

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
ENVIRONMENT = {
    "REDREC_MILVUS_USER": "redrec",
    "REDREC_MILVUS_PASSWORD": "open sesame",
    "REDREC_MILVUS_CA": CERTIFICATE,
    "REDREC_MILVUS_DATABASE": "shop",
}


def test_the_environment_reaches_the_client():
    server = milvus_server("https://milvus:19530", ENVIRONMENT)
    options = server.options()
    assert Path(options.pop("server_pem_path")).read_text() == CERTIFICATE
    login = {"user": "redrec", "password": "open sesame", "db_name": "shop"}
    assert options == {**login, "dedicated": True, "timeout": 30.0}
    token = milvus_server("http://milvus:19530", {"REDREC_MILVUS_TOKEN": "key:word"})
    assert token.options()["token"] == "key:word"


def test_without_an_address_there_is_no_server():
    assert milvus_server("", ENVIRONMENT) is None and milvus_server(None, ENVIRONMENT) is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"REDREC_MILVUS_USER": "redrec"}, "REDREC_MILVUS_PASSWORD go together"),
        ({**ENVIRONMENT, "REDREC_MILVUS_TOKEN": "open sesame"}, "not both"),
        ({"REDREC_MILVUS_CA": "/etc/open sesame"}, "environment: ca"),
        ({"REDREC_MILVUS_CA": CERTIFICATE, "REDREC_MILVUS_TOKEN": "open sesame"}, "speaks no TLS"),
    ],
)
def test_settings_that_do_not_fit_are_refused_without_the_password(environment: dict[str, str], said: str):
    uri = "http://milvus:19530" if "TLS" in said else "https://milvus:19530"
    with pytest.raises(InputError, match=said) as refused:
        milvus_server(uri, environment)
    assert "open sesame" not in str(refused.value).replace("/etc/open sesame", "")


def test_the_password_and_the_token_are_in_no_text():
    server = milvus_server("https://milvus:19530", ENVIRONMENT)
    token = MilvusServer(uri="http://milvus:19530", token="open sesame", timeout_s=3)
    for text in (repr(server), str(server), server.model_dump_json(), repr(token), token.model_dump_json()):
        assert "open sesame" not in text


def test_only_a_server_uri_is_a_server_uri():
    assert check_server_uri("http://milvus:19530") == "http://milvus:19530"
    for uri in ("milvus.db", "/tmp/milvus.db", "file:///etc/passwd", "http://"):
        with pytest.raises(InputError, match="http://HOST:PORT"):
            check_server_uri(uri)


def test_a_uri_with_a_password_is_refused_without_it():
    with pytest.raises(InputError, match="uri of milvus has a user or password") as refused:
        check_server_uri("http://root:sesame@milvus:19530")
    assert "sesame" not in str(refused.value)
