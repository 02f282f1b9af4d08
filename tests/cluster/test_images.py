"""The images of `make images`: named by the commit, locked down, and every step of `train` runs in one."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.compile import PIPELINES
from redrec.bundle.reader import Bundle
from redrec.datasets.world import World, WorldConfig
from redrec.drift.config import DriftConfig
from redrec.training.presets import tiny
from tests.cluster.conftest import COMMIT, Cluster
from tests.cluster.containers import MARK, USER
from tests.cluster.tools import ROOT

pytestmark = pytest.mark.cluster

TRAIN = next(name for name in PIPELINES if name.startswith("train"))


def test_an_image_says_what_it_is(images: dict[str, str], cluster: Cluster):
    for room, name in images.items():
        (config,) = json.loads(cluster.podman("image", "inspect", name))
        labels = config["Labels"]
        assert re.fullmatch(rf"ghcr\.io/example/redrec-{room}:[\d.]+-{COMMIT}(-python3\.11)?", name)
        assert labels["org.opencontainers.image.revision"] == COMMIT
        assert labels["org.opencontainers.image.ref.name"] == name
        assert config["Config"]["User"] == str(USER)


def test_code_and_packages_are_compiled_for_a_read_only_root(images: dict[str, str], cluster: Cluster):
    for name in images.values():
        script = "import numpy, redrec.config as c; print(numpy.__cached__, c.__cached__)"
        options = ["--rm", "--read-only", "--network=none", "--entrypoint=python"]
        compiled = cluster.podman("run", *options, name, "-c", f"import os; {script}").split()
        listed = cluster.podman(
            "run", *options, name, "-c", f"import os; print([os.path.exists(p) for p in {compiled}])"
        )
        assert listed.strip() == "[True, True]"


@pytest.fixture(scope="module")
def trained(
    images: dict[str, str], cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Run the pipeline on a tiny log, each step in a container; return its artifacts and what each step took.

    With a tiny least number of users the drift of every scenario is reported, which imports all of Evidently.
    """
    folder = tmp_path_factory.mktemp("containers")
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)  # pytest's own are for their owner only
    (folder / "steps").mkdir()
    events, items = World(WorldConfig(num_users=120, num_items=180, seed=1)).write(folder / "input")
    recipe = tiny().model_copy(update={"drift": DriftConfig(min_users=10)})
    arguments = {"events": str(events), "items": str(items), "recipe": recipe.model_dump_json()}
    words = [sys.executable, "-m", "tests.cluster.containers", images["pipeline"], TRAIN, json.dumps(arguments)]
    done = subprocess.run(
        [*words, str(folder / "steps")],
        cwd=ROOT,
        env=cluster.env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    lines = [line.split(MARK)[1] for line in done.stdout.splitlines() if MARK in line]
    yield folder / "steps", [json.loads(line) for line in lines]
    shutil.rmtree(folder, ignore_errors=True)


def test_every_step_of_train_runs_in_a_container_and_a_bundle_comes_out(trained):
    steps, measured = trained
    (bundle,) = steps.rglob("bundle/bundle.json")
    assert Bundle.load(bundle.parent).manifest.git_commit == COMMIT
    assert {"prepare_data", "train_towers", "evaluate_model", "build_bundle"} <= {step["step"] for step in measured}
    assert len(list(steps.rglob("*.html"))) >= 3  # drift of each scenario
    for step in measured:
        print(f"{step['step']:>24} {step['seconds']:6.1f} s {step['peak_mb']:6} MB")


def test_no_step_has_a_right_that_it_does_not_need(trained):
    for step in trained[1]:
        assert (step["user"], step["capabilities"], step["writable"]) == (USER, 0, ["/tmp"])
