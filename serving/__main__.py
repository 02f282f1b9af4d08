"""`python -m serving --bundle DIR`: serve one release bundle; exit status 2 if the bundle or its index is refused."""

import argparse
import os
import sys
from pathlib import Path

from redrec.cpus import limit_threads
from redrec.signals import leave_on_sigterm
from serving.address import EVERYWHERE, GRPC_PORT, HTTP_PORT, Addresses


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    from serving.start import ExperimentFiles

    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve a release bundle by KServe's V1 and V2 protocols.",
        epilog="example: python -m serving --bundle demo/run/bundle --features demo/run/features",
        allow_abbrev=False,
    )
    parser.add_argument("--bundle", type=Path, required=True, help="release bundle; it may be read-only")
    parser.add_argument("--features", type=Path, help="feature folder (default: none; requests bring their histories)")
    ExperimentFiles.add_arguments(parser)
    parser.add_argument(
        "--serving_config", type=Path, help="YAML or JSON file with fields of serving.config.ServingConfig"
    )
    parser.add_argument("--model_name", default="redrec", help="name in the URL (default: redrec)")
    parser.add_argument(
        "--http_port", type=int, default=HTTP_PORT, help=f"port of V1 and V2 by HTTP (default: {HTTP_PORT})"
    )
    parser.add_argument(
        "--grpc_port", type=int, help=f"port of V2 by gRPC, KServe's own is {GRPC_PORT} (default: no gRPC)"
    )
    parser.add_argument(
        "--metrics_port",
        type=int,
        help="port of /metrics alone, which that of HTTP then has not (default: that of HTTP)",
    )
    return parser.parse_args(arguments)


def main() -> int:
    leave_on_sigterm()  # loading takes seconds
    arguments = parse_arguments(sys.argv[1:])
    limit_threads(os.environ)  # before the server imports a library that computes
    from redrec.config import InputError
    from serving.config import serving_config
    from serving.start import ExperimentFiles, check_start, say_last_words

    try:
        config, experiment = serving_config(arguments.serving_config, os.environ), ExperimentFiles.of(arguments)
        addresses = Addresses.of_ports(EVERYWHERE, arguments.http_port, arguments.grpc_port, arguments.metrics_port)
        check_start(arguments.bundle, arguments.features, addresses, experiment)
        from serving.app import serve  # it takes seconds: after the checks

        serve(
            arguments.bundle,
            arguments.features,
            addresses,
            model_name=arguments.model_name,
            config=config,
            experiment=experiment,
        )
    except (InputError, PermissionError) as error:
        say_last_words(f"serving: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
