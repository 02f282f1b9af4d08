"""The image of all components, named once.

A tag never moves: the pipeline's cache key is image, command and inputs, so a moved tag returns stale results.
The name contains `python`, so the local runner knows that the container's entry point is Python.
The environment may set another image when a pipeline is compiled.
"""

import os
from collections.abc import Mapping

DEFAULT_IMAGE = "ghcr.io/example/redrec-pipeline:0.1.0-python3.11"

# Evidently and Hugging Face send telemetry by default.
TELEMETRY_OFF = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def pipeline_image(environment: Mapping[str, str]) -> str:
    """Return the image of every step: `REDREC_PIPELINE_IMAGE` if set, else the released one.

    >>> pipeline_image({"REDREC_PIPELINE_IMAGE": "registry/redrec:4f2a-python3.11"})
    'registry/redrec:4f2a-python3.11'
    """
    return environment.get("REDREC_PIPELINE_IMAGE", DEFAULT_IMAGE)


PIPELINE_IMAGE = pipeline_image(os.environ)  # read here because `@dsl.component` takes it at import
