"""A real HTTP server that speaks S3, with faults that a test plants at a request."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.faults import fork

Fault = Callable[[str, str], tuple[str, str] | None]
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "2",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Quiet(WSGIRequestHandler):
    def log(self, *arguments: Any) -> None:
        """Print nothing for a request."""


class FaultyStore:
    """S3 by moto. `fault(method, path)` returns a status and an error code, or None."""

    def __init__(self) -> None:
        self.app = DomainDispatcherApplication(create_backend_app)
        self.fault: Fault | None = None
        self.requests: list[tuple[str, str]] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append((method, path))
        planted = self.fault(method, path) if self.fault else None
        if isinstance(planted, tuple):
            status, code = planted
            if length := int(environ.get("CONTENT_LENGTH") or 0):
                environ["wsgi.input"].read(length)
            body = f"<Error><Code>{code}</Code><Message>planted</Message></Error>".encode()
            start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]
        return self.app(environ, start_response)

    def puts(self) -> list[str]:
        """Return the paths that were written, in order."""
        return [path for method, path in self.requests if method == "PUT"]


@contextmanager
def serving(store: FaultyStore, host: str = "127.0.0.1") -> Iterator[str]:
    """Yield the address of the store."""
    server = make_server(host, 0, store, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def in_environment(bucket: str = "redrec") -> Iterator[FaultyStore]:
    """Yield a store with an empty bucket, as the environment names it."""
    store = FaultyStore()
    with serving(store) as endpoint, pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}.items():
            patch.setenv(name, value)
        empty_bucket(endpoint, bucket)
        store.requests.clear()
        yield store


def empty_bucket(endpoint: str, name: str) -> None:
    """Make the bucket, or remove all that is in it."""
    client = boto3.client("s3", endpoint_url=endpoint)
    if name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=name)
    for entry in client.list_objects_v2(Bucket=name).get("Contents", ()):
        client.delete_object(Bucket=name, Key=entry["Key"])


def put_with_changed_byte(endpoint: str, bucket: str, key: str) -> None:
    """Flip a bit of a stored object; its metadata stays, so the store takes it for what was sent."""
    client = boto3.client("s3", endpoint_url=endpoint)
    answer = client.get_object(Bucket=bucket, Key=key)
    content = bytearray(answer["Body"].read())
    content[len(content) // 2] ^= 1
    client.put_object(Bucket=bucket, Key=key, Body=bytes(content), Metadata=answer["Metadata"])


def killed(store: FaultyStore, num_requests: int, function: Callable[[], object]) -> bool:
    """Run `function` in a fork, which the store kills at its next request but `num_requests`; say whether it did."""
    child, started = fork(), len(store.requests)
    if child == 0:
        try:
            function()
        finally:
            os._exit(0)

    def kill(method: str, path: str) -> None:
        if len(store.requests) - started > num_requests:
            os.kill(child, signal.SIGKILL)

    store.fault = kill
    _, status = os.waitpid(child, 0)
    store.fault = None
    return os.WIFSIGNALED(status)


def weed() -> str | None:
    """Return the path of SeaweedFS's program, None where it is not installed."""
    return shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """Yield the address of a SeaweedFS with its files in `folder`."""
    ports = dict(zip(("s3", "master", "volume", "filer"), free_ports(8), strict=False))
    credentials = {"accessKey": ENVIRONMENT["AWS_ACCESS_KEY_ID"], "secretKey": ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]}
    identity = {"name": "test", "credentials": [credentials], "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "files").mkdir()
    options = [f"-{name}.port={port}" for name, port in ports.items()]
    options += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=8"]
    command = [str(weed()), "server", "-s3", f"-s3.config={folder / 's3.json'}", f"-dir={folder / 'files'}", *options]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen([*command, "-ip=127.0.0.1", "-ip.bind=127.0.0.1"], stdout=log, stderr=log)
        try:
            yield wait_for(f"http://127.0.0.1:{ports['s3']}", server, folder / "log.txt")
        finally:
            server.kill()
            server.wait()


def free_ports(number: int) -> list[int]:
    """Return free ports; SeaweedFS also takes the port 10,000 above each, so they are below 20,000."""
    ports: list[int] = []
    for port in range(10_000 + os.getpid() % 8_000, 20_000):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == number:
            break
    return ports


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> str:
    keys = {name.lower(): ENVIRONMENT[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    client = boto3.client("s3", endpoint_url=address, region_name=ENVIRONMENT["AWS_DEFAULT_REGION"], **keys)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            client.list_buckets()
        except (BotoCoreError, ClientError):  # it is not up, or does not know the credentials yet
            time.sleep(0.2)
        else:
            return address
    raise AssertionError(f"SeaweedFS is not up; its log ends:\n{log.read_text()[-2000:]}")
