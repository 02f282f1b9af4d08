"""Compile the pipelines to the YAML of Kubeflow Pipelines."""

from pathlib import Path

from kfp import compiler

from pipelines.release import release_pipeline
from pipelines.training import training_pipeline

PIPELINES = {"training": training_pipeline, "release": release_pipeline}


def compile_pipeline(name: str, out: Path) -> Path:
    """Write one of `PIPELINES` to `out` (.yaml) and return `out`."""
    compiler.Compiler().compile(PIPELINES[name], package_path=str(out))
    return out
