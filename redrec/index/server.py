"""Milvus server: its address and who logs in, apart from pymilvus.

User and password or token, the certificate and the database come from the environment, which the Kubernetes Secret
`redrec-milvus` fills. They are in no URL, text or manifest. The certificate is text too, so that a Secret is enough.
"""

from collections.abc import Mapping
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, SecretStr, model_validator

from redrec.config import Config, InputError, validated

URI = "REDREC_MILVUS_URI"
SECRET = "redrec-milvus"  # in Kubernetes
VARIABLES = {
    "user": "REDREC_MILVUS_USER",
    "password": "REDREC_MILVUS_PASSWORD",
    "token": "REDREC_MILVUS_TOKEN",
    "ca": "REDREC_MILVUS_CA",
    "database": "REDREC_MILVUS_DATABASE",
}
SCHEMES = ("http", "https")


class MilvusServer(Config):
    """Where Milvus is, and how to log in: by user and password, by token, or not at all."""

    uri: str
    user: str | None = None
    password: SecretStr | None = Field(default=None, repr=False)
    token: SecretStr | None = Field(default=None, repr=False)
    ca: str | None = Field(default=None, pattern="^-----BEGIN CERTIFICATE-----")  # the CA's, or the server's own
    database: str = ""  # "": Milvus's default one
    timeout_s: PositiveFloat = 30.0  # of a call; an insert of 5,000 rows takes 0.1 s, the load of 1 M rows longer

    @model_validator(mode="after")
    def _logs_in_one_way(self) -> "MilvusServer":
        check_server_uri(self.uri)
        if (self.user is None) != (self.password is None):
            raise ValueError(f"{VARIABLES['user']} and {VARIABLES['password']} go together; set both, or neither")
        if self.user is not None and self.token is not None:
            raise ValueError(f"set {VARIABLES['token']} or {VARIABLES['user']} and {VARIABLES['password']}, not both")
        if self.ca is not None and urlsplit(self.uri).scheme != "https":
            raise ValueError(f"{VARIABLES['ca']} is set, but {self.uri} speaks no TLS; give https://HOST:PORT")
        return self

    def options(self) -> dict[str, Any]:
        """Return the arguments of a pymilvus client.

        Its connection is its own: pymilvus shares one among all clients of an address and a token, whatever their
        certificate is.
        """
        options: dict[str, Any] = {"db_name": self.database, "dedicated": True, "timeout": self.timeout_s}
        if self.token is not None:
            options["token"] = self.token.get_secret_value()
        if self.user is not None and self.password is not None:
            options |= {"user": self.user, "password": self.password.get_secret_value()}
        if self.ca is not None:
            options["server_pem_path"] = _file(self.ca).name  # pymilvus takes no text
        return options


def milvus_server(uri: str | None, environment: Mapping[str, str]) -> MilvusServer | None:
    """Return the server at `uri`, with what the environment says of the login; None without a `uri`."""
    if not uri:
        return None
    given = {field: environment[variable] for field, variable in VARIABLES.items() if environment.get(variable)}
    return validated(MilvusServer, {"uri": check_server_uri(uri)} | given, "environment")


@cache
def _file(text: str) -> Any:
    """Return a file of this process with a text; it is removed when the process ends."""
    file = NamedTemporaryFile("w", prefix="redrec-ca-", suffix=".pem")  # noqa: SIM115  # a client may read it again
    file.write(text)
    file.flush()
    return file


def check_server_uri(uri: str) -> str:
    """Return `uri` if it names a Milvus server; a path, and a name with a password, are refused."""
    address = urlsplit(uri)
    if address.password is not None or address.username is not None:
        raise InputError(
            f"The Milvus uri of {address.hostname} has a user or password in it, and a uri is shown and logged. Set "
            f"{VARIABLES['user']} and {VARIABLES['password']}, or {VARIABLES['token']}."
        )
    if address.scheme not in SCHEMES or not address.hostname:
        raise InputError(
            f"Milvus uri {uri!r} is not allowed. Give http://HOST:PORT or https://HOST:PORT of a Milvus server, "
            "or none to search the bundle's own embeddings."
        )
    return uri
