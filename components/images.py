"""The two images, named once: that of all components and jobs, and that of the server.

A tag never moves: the pipeline's cache key is image, command and inputs, so a moved tag returns stale results. So the
tags of `make images` have the commit in them. The name of the components' image contains `python`, so the local runner
knows that the container's entry point is Python. The environment may set another image when a pipeline is compiled; the
image sets itself there, for the pipelines that its own steps start.
"""

import os
import sys
from collections.abc import Mapping

from redrec import __version__

REGISTRY = "ghcr.io/example"
SUFFIX = "-python3.11"


def image_names(registry: str, tag: str) -> dict[str, str]:
    """Return the name of each image, by the folder of its Dockerfile.

    >>> image_names("registry", "0.1.0-4f2a")
    {'components': 'registry/redrec-pipeline:0.1.0-4f2a-python3.11', 'serving': 'registry/redrec-serving:0.1.0-4f2a'}
    """
    return {"components": f"{registry}/redrec-pipeline:{tag}{SUFFIX}", "serving": f"{registry}/redrec-serving:{tag}"}


def pipeline_image(environment: Mapping[str, str]) -> str:
    """Return the image of every step: `REDREC_PIPELINE_IMAGE` if set, else the released one.

    >>> pipeline_image({"REDREC_PIPELINE_IMAGE": "registry/redrec:4f2a-python3.11"})
    'registry/redrec:4f2a-python3.11'
    """
    return environment.get("REDREC_PIPELINE_IMAGE", image_names(REGISTRY, __version__)["components"])


PIPELINE_IMAGE = pipeline_image(os.environ)  # read here because `@dsl.component` takes it at import

if __name__ == "__main__":  # for the Makefile: the registry and the commit in, a folder and an image's name a line out
    for folder, name in image_names(sys.argv[1] or REGISTRY, f"{__version__}-{sys.argv[2]}").items():
        print(folder, name)
