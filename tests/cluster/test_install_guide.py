"""The install guide: each of its `bash` blocks, as it stands there, on a cluster with PodSecurity and a quota."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from serving.client import query
from tests import object_store
from tests.cluster.conftest import Cluster
from tests.cluster.tools import ROOT, helm

pytestmark = pytest.mark.cluster

GUIDE = ROOT / "docs" / "install.md"
NAMESPACE, BUCKET = "redrec", "redrec"
HOST = "198.18.0.1"  # of the cluster's API: pods reach this machine by it
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_guide_leads_from_nothing_to_an_answer_an_upgrade_and_a_way_back(
    cluster: Cluster, images: dict[str, str], run_folder: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving, tag = images["serving"].rsplit(":", 1)
    folders = [Path(sys.executable).parent, Path(helm()).parent, cluster.env["PATH"]]
    given = {"RUN": str(run_folder), "RELEASES": f"s3://{BUCKET}/releases", "SERVING": serving, "TAG": tag}
    given |= {"REDREC_PIPELINE_IMAGE": images["pipeline"], "PATH": ":".join(map(str, folders))}
    for name, value in object_store.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    *install, uninstall = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    with object_store.serving(object_store.FaultyStore(), HOST) as endpoint:
        object_store.empty_bucket(endpoint, BUCKET)
        environment = cluster.env | object_store.ENVIRONMENT | given | {"AWS_ENDPOINT_URL": endpoint}
        try:
            execute("\n".join(install), environment)
            address = cluster.kubectl(
                *f"get svc redrec-predictor -n {NAMESPACE} -o jsonpath={{.spec.clusterIP}}".split()
            )
            answer = query(f"http://{address}", "nobody", bundle.manifest.scenarios[0])
            assert answer["bundle_id"] == bundle.manifest.id
            service = json.loads(cluster.kubectl(*f"get isvc redrec -n {NAMESPACE} -o json".split()))
            assert service["spec"]["predictor"]["model"]["storageUri"] == "pvc://redrec-bundles/first"
            execute(uninstall, environment)
        finally:
            cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


def execute(script: str, environment: dict[str, str]) -> None:
    words = ["bash", "-euxo", "pipefail", "-c", script]
    done = subprocess.run(words, cwd=ROOT, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
