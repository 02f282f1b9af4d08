"""A pod that runs the step `deploy_bundle` on a release of a claim, as the account of a pipeline's run."""

from typing import Any

POD, MOUNT = "deploy-bundle", "/mnt/bundles"
# KFP's launcher downloads an artifact and gives its folder; here the folder is on the claim.
STEP = """
import sys
from kfp import dsl
from components.deploy_bundle import deploy_bundle

uri, folder, name, timeout_s = sys.argv[1:]
release = dsl.Model()
release.custom_path = folder
print(deploy_bundle.python_func(release, uri, name=name, timeout_s=int(timeout_s)))
"""


def step_pod(image: str, account: str, claim: str, release: str, service: str, timeout_s: int) -> dict[str, Any]:
    """Return the pod; its namespace is that of the service, and PodSecurity `restricted` admits it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD},
        "spec": {
            "serviceAccountName": account,
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [
                {"name": "bundles", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}},
                {"name": "tmp", "emptyDir": {}},
            ],
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "command": ["python", "-c", STEP],
                    "args": [f"pvc://{claim}/{release}", f"{MOUNT}/{release}", service, str(timeout_s)],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "512Mi"},
                        "limits": {"cpu": "2", "memory": "1Gi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                    "volumeMounts": [
                        {"name": "bundles", "mountPath": MOUNT, "readOnly": True},
                        {"name": "tmp", "mountPath": "/tmp"},
                    ],
                }
            ],
        },
    }
