"""`redrec compile`: compile a pipeline for Kubeflow Pipelines."""

import argparse
from pathlib import Path

from cli.command import Outcome

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
    from pipelines.compile import compile_pipeline

    out = compile_pipeline(arguments.pipeline, arguments.out)
    return Outcome(
        {"pipeline": str(out)},
        f"Wrote {out}. Upload it in the Kubeflow Pipelines UI, or from the command line:\n"
        f"  kfp --endpoint URL pipeline create -p redrec-{arguments.pipeline} {out}",
    )
