"""`redrec compile`: compile a pipeline for Kubeflow Pipelines."""

import argparse
from pathlib import Path

from cli.command import Outcome
from redrec.config import InputError

SUMMARY = "compile a pipeline for Kubeflow Pipelines"
EXAMPLE = "redrec compile --out train.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pipeline",
        choices=("train", "release", "refresh", "monitor", "experiment"),
        default="train",
        help="train: from tables to a bundle; release: from a trained model to a bundle; refresh: new events into the "
        "feature store; monitor: drift, and training after it; experiment: decide an A/B test (default: train)",
    )
    parser.add_argument(
        "--settings",
        type=Path,
        help="YAML or JSON file with fields of pipelines.settings.ClusterSettings: resources, GPUs, node selector, "
        "claims, Secrets (default: none)",
    )
    parser.add_argument("--out", type=Path, help="YAML file to write (default: the pipeline's name and .yaml)")


def run(arguments: argparse.Namespace) -> Outcome:
    out = arguments.out or Path(f"{arguments.pipeline}.yaml")
    if out.suffix not in {".yaml", ".yml"}:  # said before the imports that compiling needs
        named = out.with_suffix(".yaml")
        raise InputError(f"--out is {out}, but a compiled pipeline is a .yaml file. Try --out {named}.")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder. Give a file.")
    out.parent.mkdir(parents=True, exist_ok=True)
    from pipelines.compile import compile_pipeline
    from pipelines.settings import ClusterSettings
    from redrec.config import load_config

    settings = load_config(ClusterSettings, arguments.settings) if arguments.settings else ClusterSettings()
    compile_pipeline(arguments.pipeline, out, settings)
    return Outcome(
        {"pipeline": str(out)},
        f"Wrote {out}. Upload it in the Kubeflow Pipelines UI, or start a run:\n  redrec submit {out} --host URL",
    )
