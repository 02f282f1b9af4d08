"""`python -m tests.cluster.deploy URI BUNDLE_ID SCENARIO NAME NAMESPACE`: deploy from this machine, as a pipeline step does.

A process of its own, since the Kubernetes client reads KUBECONFIG when it is imported. The machine is no pod, so it looks
the addresses of Services up in the API.
"""

import socket
import sys
from typing import Any

from serving.deploy import Release, deploy
from tests.cluster.tools import run

TIMEOUT_S = 240  # a loaded machine starts a pod in 100 s
resolve = socket.getaddrinfo


def resolve_services(host: Any, *rest: Any, **options: Any) -> Any:
    if str(host).endswith(".svc.cluster.local"):
        service, namespace = host.split(".")[:2]
        host = run("kubectl", "get", "svc", service, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}", env=ADMIN)
    return resolve(host, *rest, **options)


if __name__ == "__main__":
    import os

    ADMIN = dict(os.environ, KUBECONFIG=os.environ["ADMIN_KUBECONFIG"])
    socket.getaddrinfo = resolve_services
    uri, bundle_id, scenario, name, namespace = sys.argv[1:]
    print(deploy(Release(uri, bundle_id, scenario), name=name, namespace=namespace, timeout_s=TIMEOUT_S))
