"""Register: a compiled pipeline listed in the UI of Kubeflow Pipelines, where runs of it are started.

Each content is one version, named by its hash: registering the same file again changes nothing. A new pipeline has the
version too that kfp makes of its first upload, with the pipeline's name.
"""

import contextlib
import sys
from pathlib import Path
from typing import NamedTuple

from kfp.client import Client

from jobs.pipelines_api import Target, named, pipeline_id, plain_errors
from pipelines.submit import read_package
from redrec.hashing import file_hash

VERSION_DIGITS = 10


class Registered(NamedTuple):
    pipeline: str
    version: str
    url: str
    is_new: bool


def register(client: Client, target: Target, package: Path, name: str | None = None) -> Registered:
    """Return the version of the pipeline `name`, by default the package's own, that holds the package."""
    name = name or read_package(package)["pipelineInfo"]["name"]
    version = file_hash(package)[:VERSION_DIGITS]
    with plain_errors(target), contextlib.redirect_stdout(sys.stderr):
        pipeline = (
            pipeline_id(client, target, name)
            or client.upload_pipeline(str(package), name, namespace=target.namespace).pipeline_id
        )
        if not pipeline:
            raise ValueError("it names no pipeline")
        versions = client._pipelines_api.pipeline_service_list_pipeline_versions(
            pipeline, page_size=100, filter=named(version)
        ).pipeline_versions
        same = [one for one in versions or [] if one.display_name == version]
        one = same[0] if same else client.upload_pipeline_version(str(package), version, pipeline)
    url = f"{target.host.rstrip('/')}/#/pipelines/details/{pipeline}/version/{one.pipeline_version_id}"
    return Registered(name, version, url, not same)
