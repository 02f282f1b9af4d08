"""`redrec clean-index`: drop old collections of a Milvus server, never one that is served."""

import argparse
import os
from datetime import timedelta

from cli.command import Outcome
from redrec.config import InputError
from redrec.index.server import URI, milvus_server

SUMMARY = "drop old collections of a Milvus server, never one that is served"
EXAMPLE = f"""export {URI}=http://milvus:19530
uris=$(kubectl get isvc --all-namespaces --output jsonpath='{{..storageUri}}')
redrec clean-index --keep 2 --served $uris"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", type=int, required=True, help="how many of the newest stay, for a rollback")
    parser.add_argument(
        "--served",
        nargs="+",
        required=True,
        metavar="ID",
        help="bundle id of every service, or its storageUri if the id is in it, or the word none",
    )
    parser.add_argument(
        "--min-age-hours", type=float, default=24.0, help="younger collections stay as they are (default: 24)"
    )


def run(arguments: argparse.Namespace) -> Outcome:
    server = milvus_server(os.environ.get(URI), os.environ)
    if server is None:
        raise InputError(f"{URI} is not set. Set it to the address of the Milvus server.")
    if arguments.keep < 0 or arguments.min_age_hours < 0:
        raise InputError("--keep and --min-age-hours count; give 0 or more.")
    from redrec.index.cleanup import clean_up

    cleaned = clean_up(server, arguments.keep, arguments.served, timedelta(hours=arguments.min_age_hours))
    kept, released, removed = (", ".join(ids) or "none" for ids in cleaned)
    return Outcome(cleaned._asdict(), f"Removed: {removed}.\nKept: {kept}.\nOut of Milvus's memory: {released}.")
