"""Start: what can be checked before the server's imports, which take seconds, and the loading, which takes more."""

import os
import socket
from pathlib import Path

from redrec.bundle.check import check_bundle
from redrec.config import InputError

MAX_PORT = 65_535
HOST = "0.0.0.0"  # KServe listens on every address


def check_start(bundle: Path, features: Path | None, port: int) -> None:
    """Check the folders and the port.

    Raises:
        InputError: A folder is not what it should be, or the server cannot listen on the port.
    """
    check_bundle(bundle)
    if features is not None:
        from feature_repo.store import checked_config

        checked_config(features, os.environ)
    check_port(port)


def check_port(port: int) -> None:
    if not 1 <= port <= MAX_PORT:
        raise InputError(f"Port {port} is not allowed. Give one of 1 to {MAX_PORT}.")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise InputError(
                f"The server cannot listen on port {port}: {error.strerror}. Give another port, or end the program "
                "that uses it."
            ) from error
