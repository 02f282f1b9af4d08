"""A proxy before a Milvus server, which holds back what it gets while a test says so."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from redrec.index.server import MilvusServer


@contextmanager
def slow_proxy(server: MilvusServer, timeout_s: float = 1) -> Iterator[tuple[MilvusServer, threading.Event]]:
    """Yield a server with another address and a time limit, and the event that lets data through."""
    address, is_open, sockets = urlsplit(server.uri), threading.Event(), []
    is_open.set()

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # the end closes both
            data = source.recv(65_536)
            while data:
                is_open.wait()
                target.sendall(data)
                data = source.recv(65_536)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                upstream = socket.create_connection((address.hostname, address.port))
                sockets.extend([client, upstream])
                for pair in ((client, upstream), (upstream, client)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, daemon=True).start()
    try:
        uri = f"{address.scheme}://127.0.0.1:{listener.getsockname()[1]}"
        yield server.model_copy(update={"uri": uri, "timeout_s": timeout_s}), is_open
    finally:
        is_open.set()
        for open_socket in (listener, *sockets):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()
