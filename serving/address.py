"""Address: where a server listens, checked before the imports that take seconds."""

import socket
from typing import NamedTuple

from redrec.config import InputError

HTTP_PORT, GRPC_PORT, MAX_PORT = 8080, 8081, 65_535  # KServe's own defaults, and the greatest there is
LOCAL, EVERYWHERE = "127.0.0.1", "0.0.0.0"


class Address(NamedTuple):
    """A host of this machine and a port; `EVERYWHERE` is all its hosts."""

    host: str
    port: int

    @property
    def reached_at(self) -> str:
        """The host by which a client on this machine reaches the server."""
        return "localhost" if self.host in (LOCAL, EVERYWHERE) else self.host

    @property
    def url(self) -> str:
        return f"http://{self.reached_at}:{self.port}"

    def check(self) -> None:
        """Check that a server can listen here.

        Raises:
            InputError: It cannot, since the port is no port or in use, or the host is none of this machine.
        """
        if not 1 <= self.port <= MAX_PORT:
            raise InputError(f"Port {self.port} is not allowed. Give one of 1 to {MAX_PORT}.")
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            try:
                listener.bind((self.host, self.port))
            except OSError as error:
                where = f"port {self.port}" if self.host in (LOCAL, EVERYWHERE) else f"{self.host} port {self.port}"
                raise InputError(
                    f"The server cannot listen on {where}: {error.strerror}. Give another, or end the program that "
                    "uses it."
                ) from error


class Addresses(NamedTuple):
    """Where a server has its protocols; without an address of its own, the metrics are at that of HTTP."""

    http: Address
    grpc: Address | None = None  # None: no gRPC
    metrics: Address | None = None

    @classmethod
    def of_ports(cls, host: str, http: int, grpc: int | None, metrics: int | None = None) -> "Addresses":
        """Return the addresses of these ports, all at one host."""
        others = [None if port is None else Address(host, port) for port in (grpc, metrics)]
        return cls(Address(host, http), *others)

    def check(self) -> None:
        """Check that a server can listen at all of them at once.

        Raises:
            InputError: It cannot.
        """
        names: dict[int, str] = {}
        for name, address in zip(("HTTP", "gRPC", "the metrics"), self, strict=True):
            if address is None:
                continue
            if address.port in names:
                raise InputError(
                    f"Port {address.port} is given for {names[address.port]} and for {name}. Give each its own, or "
                    "leave the second out."
                )
            names[address.port] = name
            address.check()
