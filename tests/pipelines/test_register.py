"""Registration against a recorded API: a new pipeline, a new version, and a file that is listed already."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from jobs.pipelines_api import PipelinesApiError, Target, connect
from pipelines.register import Registered, register
from redrec.hashing import file_hash
from tests.pipelines.kfp_api import KfpApi, kfp_api

API = "/apis/v2beta1/pipelines"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "refresh.yaml").write_text("pipelineInfo: {name: redrec-refresh}\nroot: {}\n")
    return tmp_path / "refresh.yaml"


def registered(api: KfpApi, package: Path) -> tuple[Registered, list[str]]:
    target = Target(api.url, namespace="team-a", token="secret")
    one = register(connect(target), target, package)
    return one, [path for method, path, _, _ in api.received if method == "POST"]


def test_a_new_pipeline_is_uploaded_with_a_version_of_its_content(package: Path):
    with kfp_api() as api:
        one, uploads = registered(api, package)
    version = file_hash(package)[:10]
    url = f"{api.url}/#/pipelines/details/p-1/version/v-2"
    assert one == Registered("redrec-refresh", version, url, is_new=True)
    assert [urlsplit(path).path for path in uploads] == [f"{API}/upload", f"{API}/upload_version"]
    first, second = (parse_qs(urlsplit(path).query) for path in uploads)
    assert (first["name"], first["namespace"]) == (["redrec-refresh"], ["team-a"])
    assert (second["name"], second["pipelineid"]) == ([version], ["p-1"])
    bodies = [body for method, _, _, body in api.received if method == "POST"]
    assert all("pipelineInfo: {name: redrec-refresh}" in body for body in bodies)
    (query,) = [parse_qs(urlsplit(path).query) for _, path, _, _ in api.received if path.startswith(f"{API}?")]
    assert query["namespace"] == ["team-a"]


def test_another_content_is_a_version_and_the_same_is_none(package: Path):
    listed = {"pipeline_id": "p-7", "display_name": "redrec-refresh"}
    with kfp_api() as api:
        api.pipelines = [{"pipeline_id": "p-6", "display_name": "redrec-refresh-2"}, listed]
        api.versions = [{"pipeline_version_id": "v-1", "display_name": file_hash(package)[:10]}]
        again, uploads = registered(api, package)
    assert (again.is_new, again.url[-11:], uploads) == (False, "version/v-1", [])
    assert "/p-7/" in again.url
    package.write_text(package.read_text() + "# changed\n")
    with kfp_api() as api:
        api.pipelines = [listed]
        new, uploads = registered(api, package)
    assert (new.is_new, [urlsplit(path).path for path in uploads]) == (True, [f"{API}/upload_version"])


def test_a_refusal_is_a_sentence(package: Path):
    with kfp_api(refuses=(401, ""), refused=f"POST {API}") as api, pytest.raises(PipelinesApiError, match="KFP_TOKEN"):
        registered(api, package)
