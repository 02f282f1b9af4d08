"""Connections to the real server with TLS and a login, and what is said when one fails."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

from redrec.config import InputError
from redrec.index.connection import connect
from redrec.index.server import MilvusServer
from tests.index.conftest import write_certificate

ON_SERVER = pytest.mark.milvus


def with_changes(server: MilvusServer, **changes: object) -> MilvusServer:
    return MilvusServer.model_validate(server.model_dump() | changes)


@ON_SERVER
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "wrong sesame"}, "refuses the login .*REDREC_MILVUS_USER"),
        ({"user": None, "password": None, "token": "root:wrong sesame"}, "refuses the login"),
        ({"user": None, "password": None}, "refuses the login"),
        ({"ca": None}, "certificate is not trusted. Set REDREC_MILVUS_CA"),
        ({"database": "nowhere"}, "database not found.*REDREC_MILVUS_DATABASE"),
    ],
)
def test_what_the_server_refuses_is_said_with_what_mends_it(
    secure: MilvusServer, changes: dict[str, object], said: str
):
    """A client with the right login is open at the same time: its connection is not theirs."""
    client = connect(secure)
    with pytest.raises(InputError, match=said) as refused:
        connect(with_changes(secure, **changes))
    assert "sesame" not in str(refused.value)
    client.close()


@ON_SERVER
def test_the_certificate_of_another_is_refused(secure: MilvusServer, tmp_path):
    certificate, _ = write_certificate(tmp_path)
    with pytest.raises(InputError, match="certificate is not trusted"):
        connect(with_changes(secure, ca=certificate.read_text()))


@ON_SERVER
def test_a_token_and_a_database_of_its_own_are_enough(secure: MilvusServer):
    client = connect(secure)
    client.create_database("shop")
    token = f"{secure.user}:{secure.password.get_secret_value()}"
    in_shop = connect(with_changes(secure, user=None, password=None, token=token, database="shop"))
    in_shop.create_collection("only_in_shop", dimension=4)
    assert in_shop.has_collection("only_in_shop") and not client.has_collection("only_in_shop")
    in_shop.drop_collection("only_in_shop")
    in_shop.close()
    client.close()


@ON_SERVER
def test_a_server_that_speaks_tls_is_not_reached_without(secure: MilvusServer):
    with pytest.raises(InputError, match="cannot be opened.*Does it speak TLS"):
        connect(with_changes(secure, uri=secure.uri.replace("https", "http"), ca=None))


def test_a_closed_port_is_named(unused_port: int):
    with pytest.raises(InputError, match=f"127.0.0.1:{unused_port} cannot be opened.*Is it running"):
        connect(MilvusServer(uri=f"http://127.0.0.1:{unused_port}", timeout_s=5))


def test_a_server_that_does_not_answer_is_given_up_in_time(listener: int):
    begin = time.monotonic()
    with pytest.raises(InputError, match="did not answer within 0.5 s"):
        connect(MilvusServer(uri=f"http://127.0.0.1:{listener}", timeout_s=0.5))
    assert time.monotonic() - begin < 5


class OtherVersion(milvus_pb2_grpc.MilvusServiceServicer):
    """As much of a server as says its version: no other one can be installed here."""

    def __init__(self, version: str, num_refusals: int = 0) -> None:
        self.version, self.num_refusals = version, num_refusals

    def Connect(self, request, context):  # noqa: N802
        self.num_refusals -= 1
        if self.num_refusals >= 0:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Too many pings")
        return milvus_pb2.ConnectResponse(status=common_pb2.Status())

    def GetVersion(self, request, context):  # noqa: N802
        return milvus_pb2.GetVersionResponse(status=common_pb2.Status(), version=self.version)

    def ShowCollections(self, request, context):  # noqa: N802
        return milvus_pb2.ShowCollectionsResponse(status=common_pb2.Status())


@contextmanager
def serving(version: str, num_refusals: int = 0) -> Iterator[MilvusServer]:
    server = grpc.server(ThreadPoolExecutor(2))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(OtherVersion(version, num_refusals), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield MilvusServer(uri=f"http://127.0.0.1:{port}", timeout_s=5)
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("version", "said"), [("v2.2.16", "version v2.2.16; 2.3 or newer"), ("unknown", "has the version 'unknown'")]
)
def test_a_server_of_another_version_is_refused(version: str, said: str):
    with serving(version) as server, pytest.raises(InputError, match=said):
        connect(server)


def test_a_newer_version_is_accepted():
    with serving("v2.6.6") as server:
        connect(server).close()


def test_a_connection_that_was_just_closed_is_opened_again_once():
    with serving("v2.6.6", num_refusals=1) as server:
        connect(server).close()
    with (
        serving("v2.6.6", num_refusals=2) as server,
        pytest.raises(InputError, match="cannot be opened: Too many pings"),
    ):
        connect(server)
