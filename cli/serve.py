"""`redrec serve`: serve a bundle by KServe's inference protocols."""

import argparse
import os
from pathlib import Path

from cli.command import Outcome, say
from redrec.folders import RunFolder

SUMMARY = "serve a bundle (V1 and V2 inference protocol)"
EXAMPLE = "--bundle demo/run/bundle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, required=True, help="a release bundle: RUN/bundle")
    parser.add_argument("--features", type=Path, help="feature folder (default: `features` beside the bundle)")
    parser.add_argument("--port", type=int, default=8080, help="HTTP port (default: 8080)")
    parser.add_argument("--config", type=Path, help="YAML or JSON file with fields of serving.config.ServingConfig")


def run(arguments: argparse.Namespace) -> Outcome:
    from serving.app import serve
    from serving.config import serving_config

    config = serving_config(arguments.config, os.environ)
    features, beside = arguments.features, RunFolder(arguments.bundle.parent).features
    if features is None and beside.is_dir():
        features = beside
    url = f"http://localhost:{arguments.port}"
    say(
        f"Serving {arguments.bundle} at {url}. Query it from another terminal:\n"
        f"  redrec query --user U --scenario S --url {url}"
    )
    serve(arguments.bundle, features, arguments.port, config=config)
    return Outcome({"bundle": str(arguments.bundle), "url": url}, f"Stopped serving {arguments.bundle}.")
