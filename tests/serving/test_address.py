"""Address: what cannot work is refused before the server's imports."""

import socket

import pytest

from redrec.config import InputError
from serving.address import EVERYWHERE, LOCAL, Address, Addresses
from tests.redis_server import free_port


@pytest.mark.parametrize("port", [0, -1, 65_536, 99_999])
def test_a_number_that_is_no_port_is_refused(port: int):
    with pytest.raises(InputError, match=rf"Port {port} is not allowed\. Give one of 1 to 65535\."):
        Address(EVERYWHERE, port).check()


def test_a_port_in_use_is_refused_and_a_free_one_is_not():
    Address(EVERYWHERE, free_port()).check()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"cannot listen on port {port}: Address already in use\. Give another"):
            Address(EVERYWHERE, port).check()


def test_a_host_of_another_machine_is_refused():
    with pytest.raises(InputError, match=r"cannot listen on 192\.0\.2\.1 port \d+: "):
        Address("192.0.2.1", free_port()).check()


@pytest.mark.parametrize(
    ("host", "reached_at"), [(EVERYWHERE, "localhost"), (LOCAL, "localhost"), ("127.0.0.2", "127.0.0.2")]
)
def test_the_url_reaches_the_server(host: str, reached_at: str):
    assert Address(host, 80).url == f"http://{reached_at}:80"


def test_each_protocol_has_a_free_port_of_its_own():
    http, grpc, metrics = (Address(LOCAL, free_port()) for _ in range(3))
    Addresses(http, grpc, metrics).check()
    with pytest.raises(InputError, match=f"Port {http.port} is given for HTTP and for the metrics. Give each its own"):
        Addresses(http, None, http).check()
    with pytest.raises(InputError, match=f"Port {grpc.port} is given for gRPC and for the metrics"):
        Addresses(http, grpc, grpc).check()
    with pytest.raises(InputError, match="Port 0 is not allowed"):
        Addresses(http, Address(LOCAL, 0)).check()
