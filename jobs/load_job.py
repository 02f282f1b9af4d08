"""Load job: a published folder copied from the object store to a claim, as objects for `kubectl apply`.

For clusters whose servers cannot read the object store: the service reads `storageUri: pvc://CLAIM/FOLDER`. The job
runs `redrec fetch`, which checks every file and replaces the folder as a whole. Its name follows from what it copies:
applying it again changes nothing, and another release is another job.
"""

import hashlib
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from jobs.pod import CONTAINER_SECURITY, POD_SECURITY, TELEMETRY_OFF, VOLUME, ClaimName, Folder, Memory
from redrec.config import Config

SERVICE_ACCOUNT = "redrec-loader"
LABELS = {"app.kubernetes.io/name": "redrec", "app.kubernetes.io/component": "loader"}
NAME_DIGITS = 10
MAX_RETRIES = 3
CPU_LIMIT = "1"  # hashing takes less; a namespace with a quota demands a limit
KEPT_S = 86_400  # a finished job and its log stay for a day
ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]


class LoadJobConfig(Config):
    """What is copied to where, and whose credentials read it."""

    url: Annotated[str, StringConstraints(pattern=r"^s3://[^/]+/.+")] = Field(
        description="folder in the object store, as `redrec publish` prints it"
    )
    claim: ClaimName = Field(description="PersistentVolumeClaim to copy to")
    out: Folder = Field(description="folder inside the claim; an earlier copy in it is replaced as a whole")
    secret: ObjectName | None = Field(
        None, description="Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, as far as needed"
    )
    service_account: ObjectName | None = Field(
        None, description="existing ServiceAccount, whose identity may read the bucket"
    )
    memory: Memory = Field("1Gi", description="memory of the pod")


def load_job(config: LoadJobConfig, image: str) -> list[dict[str, Any]]:
    """Return the Job, and its ServiceAccount unless an existing one is given; `image` is that of the components."""
    if config.service_account is not None:
        return [_job(config, image, config.service_account)]
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": SERVICE_ACCOUNT, "labels": LABELS},
        "automountServiceAccountToken": False,  # it calls no Kubernetes API
    }
    return [account, _job(config, image, SERVICE_ACCOUNT)]


def _job(config: LoadJobConfig, image: str, account: str) -> dict[str, Any]:
    content = f"{config.url} {config.claim} {config.out}"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"redrec-load-{hashlib.sha256(content.encode()).hexdigest()[:NAME_DIGITS]}",
            "labels": LABELS,
        },
        "spec": {
            "backoffLimit": MAX_RETRIES,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {
                # In a Kubeflow profile, Istio's sidecar would outlive the job.
                "metadata": {"labels": {**LABELS, "sidecar.istio.io/inject": "false"}},
                "spec": _pod(config, image, account),
            },
        },
    }


def _pod(config: LoadJobConfig, image: str, account: str) -> dict[str, Any]:
    container = {
        "name": "fetch",
        "image": image,
        "args": ["fetch", config.url, str(VOLUME / config.out)],
        "env": [{"name": name, "value": value} for name, value in TELEMETRY_OFF.items()],
        "resources": {
            "requests": {"cpu": "250m", "memory": config.memory},
            "limits": {"cpu": CPU_LIMIT, "memory": config.memory},
        },
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "volume", "mountPath": str(VOLUME)}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    if config.secret is not None:
        container["envFrom"] = [{"secretRef": {"name": config.secret}}]
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "restartPolicy": "OnFailure",
        "securityContext": POD_SECURITY,
        "containers": [container],
        "volumes": [
            {"name": "volume", "persistentVolumeClaim": {"claimName": config.claim}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
