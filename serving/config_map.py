"""Config map: a ConfigMap that has an allocation, read and replaced through the Kubernetes API.

Each replacement names the version that was read, so of two writers the second changes nothing, and knows it. The API is
read, rather than a mounted ConfigMap, since a mount follows a change only after a minute.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from redrec.config import InputError
from serving.kubernetes_api import load_config, own_namespace, plain_refusals

PREFIX = "configmap:"
KEY = "allocation.json"  # of the ConfigMap's data
FIELD_MANAGER = "redrec-gate"
CONNECT_S, READ_S = 2.0, 5.0  # a call that takes longer counts as refused
NUM_RETRIES = 1  # so that a server whose API hangs still ends within its grace period
CONFLICT = 409
# Verb, group and resource: what the server calls, and what the gate calls.
SERVER_RIGHTS = (("get", "", "configmaps"),)
GATE_RIGHTS = (*SERVER_RIGHTS, ("patch", "", "configmaps"))


class MapName(NamedTuple):
    name: str
    namespace: str | None = None  # None: the pod's own

    def __str__(self) -> str:
        return PREFIX + (f"{self.name}/{self.namespace}" if self.namespace else self.name)

    @classmethod
    def read(cls, text: str) -> "MapName | None":
        """Return the ConfigMap that a text names; None if it names a file.

        >>> MapName.read("configmap:redrec-allocation/shop"), MapName.read("allocation.json")
        (MapName(name='redrec-allocation', namespace='shop'), None)

        Raises:
            InputError: It begins as the name of a ConfigMap and is none.
        """
        if not text.startswith(PREFIX):
            return None
        if not re.fullmatch(r"[a-z0-9][-.a-z0-9]*(/[a-z0-9][-a-z0-9]*)?", text.removeprefix(PREFIX)):
            raise InputError(f"{text!r} names no ConfigMap. Give {PREFIX}NAME or {PREFIX}NAME/NAMESPACE.")
        return cls(*text.removeprefix(PREFIX).split("/"))


class MapState(NamedTuple):
    content: bytes
    version: str


class ConfigMap:
    """One ConfigMap, as the pod's ServiceAccount or the kubeconfig reaches it."""

    def __init__(self, name: MapName) -> None:
        from kubernetes import client

        load_config()
        self.name, self.namespace = name.name, name.namespace or own_namespace()
        settings = client.Configuration.get_default_copy()
        settings.retries = NUM_RETRIES
        self.core = client.CoreV1Api(client.ApiClient(settings))

    def read(self) -> MapState:
        """Return the allocation's text and the version of the ConfigMap.

        Raises:
            InputError: The API does not answer or refuses, or the ConfigMap has no allocation.
        """
        with self._refusals("get"):
            state = self.core.read_namespaced_config_map(
                self.name, self.namespace, _request_timeout=(CONNECT_S, READ_S)
            )
        if KEY not in (state.data or {}):
            keys = ", ".join(state.data or {}) or "none"
            raise InputError(f"ConfigMap {self.name} has no key {KEY}; it has {keys}. Put the allocation there.")
        return MapState(state.data[KEY].encode(), state.metadata.resource_version)

    def replace(self, version: str, text: str) -> bool:
        """Replace the allocation's text; return False, with nothing changed, if the version is not the newest any more.

        Raises:
            InputError: The API does not answer or refuses.
        """
        from kubernetes.client import ApiException

        body = {"metadata": {"resourceVersion": version}, "data": {KEY: text}}
        with self._refusals("patch"):
            try:
                self.core.patch_namespaced_config_map(
                    self.name,
                    self.namespace,
                    body,
                    field_manager=FIELD_MANAGER,
                    _request_timeout=(CONNECT_S, READ_S),
                )
            except ApiException as error:
                if error.status != CONFLICT:
                    raise
                return False
        return True

    @contextmanager
    def _refusals(self, verb: str) -> Iterator[None]:
        from urllib3.exceptions import HTTPError

        advice = f"Give its ServiceAccount a Role to {verb} ConfigMap {self.name} in namespace {self.namespace}."
        try:
            with plain_refusals(advice):
                yield
        except HTTPError as error:
            raise InputError(f"The Kubernetes API does not answer: {error}. Try again when it does.") from error
