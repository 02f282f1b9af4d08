"""Compile the training pipeline into the YAML that Kubeflow Pipelines takes."""

from pathlib import Path


def compile_training(out: Path) -> Path:
    """Write the compiled pipeline to `out` (.yaml) and return it."""
    from kfp import compiler

    from pipelines.training import training_pipeline
    from redrec.config import InputError

    if out.suffix not in {".yaml", ".yml"}:
        raise InputError(
            f"--out is {out}, but a compiled pipeline is a .yaml file. Try --out {out.with_suffix('.yaml')}."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(training_pipeline, package_path=str(out))
    return out
