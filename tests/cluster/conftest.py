"""A Kubernetes API with KServe and pods, the serving image, a run folder on a claim, and the service that serves it."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from redrec import __version__
from redrec.bundle.reader import Bundle
from redrec.folders import RunFolder
from tests.cluster.tools import HOME, ROOT, TOOLS, require_pods, run

START_S = 120
COMMIT = "0123456789ab"
TAG = f"{__version__}-{COMMIT}"  # of the serving image


class Cluster(NamedTuple):
    env: dict[str, str]

    def kubectl(self, *words: str | Path, stdin: str | None = None) -> str:
        return run("kubectl", *words, env=self.env, stdin=stdin)

    def podman(self, *words: str | Path, stdin: str | None = None) -> str:
        return run("podman", *words, env=self.env, stdin=stdin)


class Service(NamedTuple):
    """A running server: its URL, and its container if it is a pod's."""

    url: str
    container: str = ""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Start Kubernetes; its ports are fixed, so another test session on this machine waits for this one to end."""
    require_pods()
    environment = {
        "KUBECONFIG": str(HOME / "kubeconfig"),
        "CONTAINERS_CONF": str(HOME / "containers.conf"),
        "PATH": f"{HOME / 'bin'}:{os.environ['PATH']}",
    }
    with HOME.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            run(TOOLS / "kube" / "kube", "up", HOME, "--kserve", "--pods")
            yield Cluster(os.environ | environment)
        finally:
            run(TOOLS / "kube" / "kube", "down", HOME)


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> dict[str, str]:
    """Build both images on a base image of Debian's packages, with the packages that pip gets on this machine."""
    run(TOOLS / "base-image", env=cluster.env)
    links = os.environ.get("PIP_FIND_LINKS", "")  # a folder with the CPU build of torch
    torch = f"--build-arg=TORCH_FROM={f'--find-links={links}' if links else ''}"
    build = " ".join([*pip_settings(), *([f"--volume={links}:{links}:ro"] if links else []), torch])
    words = [
        "make",
        "--no-print-directory",
        "images",
        "ENGINE=podman",
        f"COMMIT={COMMIT}",
        f"BUILD={build}",
        f"PYTHON={sys.executable}",
    ]
    names = run(*words, env=cluster.env).split()
    return {"pipeline": names[0], "serving": names[1]}


def pip_settings() -> list[str]:
    """Return the options by which pip reaches its index in a build on this machine."""
    settings = [Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf")]
    return [f"--volume={path}:{path}:ro" for path in settings if path.exists()]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `bundle` and `features`: that of REDREC_RUN_DIR if set, else a tiny run."""
    if "REDREC_RUN_DIR" in os.environ:
        return Path(os.environ["REDREC_RUN_DIR"])
    from tests.bundles import tiny_run

    folder = tmp_path_factory.mktemp("run")
    tiny_run(folder)
    return folder


@pytest.fixture(scope="session")
def bundle(run_folder: Path) -> Bundle:
    return Bundle.load(RunFolder(run_folder).bundle)


@pytest.fixture(scope="session")
def claim(cluster: Cluster, run_folder: Path) -> RunFolder:
    """Copy the run to the folder `demo` of the claim, as an operator copies a release to shared storage; return it."""
    cluster.kubectl("apply", "--server-side", "-f", "serving/manifests/pvc.yaml")
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/redrec-bundles", "--timeout=60s")
    volume = cluster.kubectl("get", "pvc", "redrec-bundles", "-o", "jsonpath={.spec.volumeName}")
    folder = Path(cluster.kubectl("get", "pv", volume, "-o", "jsonpath={.spec.hostPath.path}"))
    source, demo = RunFolder(run_folder), RunFolder(folder / "demo")
    shutil.copytree(source.bundle, demo.bundle)
    shutil.copytree(source.features, demo.features)
    return demo


@pytest.fixture(scope="session")
def service(
    cluster: Cluster, images: dict[str, str], claim: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    """Apply serving/manifests with the image that was built, and wait until KServe's controller reports Ready."""
    overlay = tmp_path_factory.mktemp("overlay")
    image = {"name": images["serving"].rsplit(":", 1)[0], "newTag": TAG}
    kustomization = {"resources": [os.path.relpath(ROOT / "serving" / "manifests", overlay)], "images": [image]}
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    cluster.kubectl("apply", "--server-side", "-k", overlay)
    label = "serving.kserve.io/inferenceservice=redrec"
    try:
        cluster.kubectl("wait", "--for=condition=Ready", "isvc/redrec", f"--timeout={START_S}s")
    except AssertionError as error:
        state = cluster.kubectl("describe", "isvc,pods")
        raise AssertionError(f"{error}\n{state[-6000:]}\n{logs(cluster, label)}") from error
    address = cluster.kubectl("get", "svc", "-l", label, "-o", "jsonpath={.items[0].spec.clusterIP}")
    return Service(f"http://{address}", containers(cluster, label)[0])


def containers(cluster: Cluster, label: str) -> list[str]:
    pods = cluster.kubectl("get", "pods", "-l", label, "-o", "jsonpath={.items[*].metadata.name}").split()
    return [f"default-{pod}-kserve-container" for pod in pods]


def logs(cluster: Cluster, label: str) -> str:
    """Return the end of what the pods printed, on either stream."""
    commands = [["podman", "logs", name] for name in containers(cluster, label)]
    done = [subprocess.run(words, env=cluster.env, text=True, capture_output=True) for words in commands]
    return "\n".join((one.stdout + one.stderr)[-4000:] for one in done)


@pytest.fixture(scope="session")
def local(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve the same run in a local process."""
    port, log = free_port(), tmp_path_factory.mktemp("local") / "log.txt"
    source = RunFolder(run_folder)
    words = [sys.executable, "-m", "serving", "--bundle", source.bundle, "--features", source.features]
    with log.open("w") as file:
        server = subprocess.Popen([*words, "--http_port", str(port)], cwd=ROOT, stdout=file, stderr=file)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", server, log)
        yield Service(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(timeout=40)


def wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/v2/models/redrec/ready", timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.3)
    raise AssertionError(f"the local server is not ready; its log ends:\n{log.read_text()[-4000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
