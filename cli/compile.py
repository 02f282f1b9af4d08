"""`redrec compile`: compile a pipeline for Kubeflow Pipelines."""

import argparse
from pathlib import Path

from cli.command import Outcome
from redrec.config import InputError

SUMMARY = "compile a pipeline for Kubeflow Pipelines"
EXAMPLE = "redrec compile --out training.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pipeline",
        choices=("training", "release"),
        default="training",
        help="training: from tables to a bundle; release: from a trained model to a bundle (default: training)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("training.yaml"), help="YAML file to write (default: training.yaml)"
    )


def run(arguments: argparse.Namespace) -> Outcome:
    if arguments.out.suffix not in {".yaml", ".yml"}:  # said before the imports that compiling needs
        named = arguments.out.with_suffix(".yaml")
        raise InputError(f"--out is {arguments.out}, but a compiled pipeline is a .yaml file. Try --out {named}.")
    if arguments.out.is_dir():
        raise InputError(f"--out {arguments.out} is a folder. Give a file.")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    from pipelines.compile import compile_pipeline

    out = compile_pipeline(arguments.pipeline, arguments.out)
    return Outcome(
        {"pipeline": str(out)},
        f"Wrote {out}. Upload it in the Kubeflow Pipelines UI, or from the command line:\n"
        f"  kfp --endpoint URL pipeline create -p redrec-{arguments.pipeline} {out}",
    )
