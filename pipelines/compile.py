"""Compile the pipelines to the YAML of Kubeflow Pipelines."""

from pathlib import Path

from kfp import compiler

from pipelines.experiment import experiment_pipeline
from pipelines.monitor import monitor_pipeline
from pipelines.refresh import refresh_pipeline
from pipelines.release import release_pipeline
from pipelines.settings import ClusterSettings
from pipelines.train import train_pipeline

PIPELINES = {
    "train": train_pipeline,
    "release": release_pipeline,
    "refresh": refresh_pipeline,
    "monitor": monitor_pipeline,
    "experiment": experiment_pipeline,
}
DEFAULTS = ClusterSettings()


def compile_pipeline(name: str, out: Path, settings: ClusterSettings = DEFAULTS) -> Path:
    """Write one of `PIPELINES` to `out` (.yaml) and return `out`."""
    compiler.Compiler().compile(PIPELINES[name](settings), package_path=str(out))
    return out
