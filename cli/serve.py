"""`redrec serve`: serve a release bundle over HTTP and gRPC, by KServe's inference protocols."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cli.command import Outcome, program, say
from redrec.bundle.check import check_run
from redrec.folders import RunFolder
from serving.address import EVERYWHERE, GRPC_PORT, HTTP_PORT, LOCAL, Addresses
from serving.start import ExperimentFiles

SUMMARY = "serve a release bundle over HTTP, and gRPC if wanted, by KServe's V1 and V2 inference protocols"
EXAMPLE = "# after `redrec demo`\nredrec serve --run demo/run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    served = parser.add_mutually_exclusive_group(required=True)
    served.add_argument("--run", type=Path, help="run folder, as `redrec run` writes it: its bundle is served")
    served.add_argument("--bundle", type=Path, help="release bundle: the folder `bundle` of a run, or a copy of it")
    parser.add_argument(
        "--features",
        type=Path,
        help="feature folder (default: the folder `features` next to the bundle, if there is one)",
    )
    ExperimentFiles.add_arguments(parser)
    parser.add_argument(
        "--host",
        default=LOCAL,
        help=f"address of this machine to listen at (default: {LOCAL}, for programs on this machine alone; "
        f"{EVERYWHERE}: for others too)",
    )
    parser.add_argument("--port", type=int, default=HTTP_PORT, help=f"HTTP port (default: {HTTP_PORT})")
    parser.add_argument(
        "--grpc-port",
        type=int,
        help=f"port of the V2 protocol by gRPC, which KServe has at {GRPC_PORT} (default: no gRPC)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        help="YAML or JSON file with fields of serving.config.ServingConfig (default: its defaults)",
    )


def run(arguments: argparse.Namespace) -> Outcome:
    from serving.config import serving_config
    from serving.start import check_start

    bundle, features = served_folders(arguments)
    config = serving_config(arguments.config, os.environ)
    experiment = ExperimentFiles.of(arguments)
    addresses = Addresses.of_ports(arguments.host, arguments.port, arguments.grpc_port)
    check_start(bundle, features, addresses, experiment)
    say(f"Loading {bundle}, which takes some seconds.")
    options = {"config": config, "experiment": experiment, "when_ready": lambda: say(serving_text(bundle, addresses))}
    import_serve()(bundle, features, addresses, **options)
    return Outcome({"bundle": str(bundle), "url": addresses.http.url}, f"Stopped serving {bundle}.")


def served_folders(arguments: argparse.Namespace) -> tuple[Path, Path | None]:
    """Return the bundle and the feature folder, which by default is the one next to the bundle, if there is one."""
    if arguments.run:
        check_run(arguments.run)
    bundle = RunFolder(arguments.run).bundle if arguments.run else arguments.bundle
    features_of_run = RunFolder(bundle.parent).features
    return bundle, arguments.features or (features_of_run if features_of_run.is_dir() else None)


def serving_text(bundle: Path, addresses: Addresses) -> str:
    http, grpc = addresses.http, addresses.grpc
    and_grpc = "" if grpc is None else f", by gRPC at {grpc.reached_at}:{grpc.port}"
    return (
        f"Serving {bundle} at {http.url}{and_grpc}. Query it from another terminal:\n"
        f"  {program()} query --user U --scenario S --url {http.url}"
    )


def import_serve() -> Callable[..., None]:
    """Return `serving.app.serve`; KServe parses sys.argv on import, and takes --config for its --configure_logging."""
    argv, sys.argv = sys.argv, sys.argv[:1]
    try:
        from serving.app import serve
    finally:
        sys.argv = argv
    return serve
