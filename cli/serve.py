"""`redrec serve`: serve a release bundle over HTTP, by KServe's inference protocols."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cli.command import Outcome, program, say
from redrec.folders import RunFolder

SUMMARY = "serve a release bundle over HTTP, by KServe's V1 and V2 inference protocols"
EXAMPLE = "# after `redrec demo`\nredrec serve --bundle demo/run/bundle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, required=True, help="release bundle: the folder `bundle` of a run")
    parser.add_argument(
        "--features",
        type=Path,
        help="feature folder (default: the folder `features` next to the bundle, if there is one)",
    )
    parser.add_argument("--port", type=int, default=8080, help="HTTP port (default: 8080)")
    parser.add_argument(
        "--config",
        type=Path,
        help="YAML or JSON file with fields of serving.config.ServingConfig (default: its defaults)",
    )


def run(arguments: argparse.Namespace) -> Outcome:
    from serving.config import serving_config

    serve = import_serve()
    config = serving_config(arguments.config, os.environ)
    features, features_of_run = arguments.features, RunFolder(arguments.bundle.parent).features
    if features is None and features_of_run.is_dir():
        features = features_of_run
    url = f"http://localhost:{arguments.port}"
    say(
        f"Serving {arguments.bundle} at {url}. Query it from another terminal:\n"
        f"  {program()} query --user U --scenario S --url {url}"
    )
    serve(arguments.bundle, features, arguments.port, config=config)
    return Outcome({"bundle": str(arguments.bundle), "url": url}, f"Stopped serving {arguments.bundle}.")


def import_serve() -> Callable[..., None]:
    """Return `serving.app.serve`; KServe parses sys.argv on import, and takes --config for its --configure_logging."""
    argv, sys.argv = sys.argv, sys.argv[:1]
    try:
        from serving.app import serve
    finally:
        sys.argv = argv
    return serve
