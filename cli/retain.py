"""`redrec retain`: remove old folders from an object store, never one that is served."""

import argparse

from cli.command import Outcome

SUMMARY = "remove old folders from an object store, never one that is served"
EXAMPLE = """uris=$(kubectl get isvc --all-namespaces --output jsonpath='{..storageUri}')
redrec retain s3://bucket/releases --keep 5 --served $uris"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="folder in the object store that folders were published to")
    parser.add_argument("--keep", type=int, required=True, help="how many of the newest folders stay")
    parser.add_argument(
        "--served",
        nargs="+",
        required=True,
        metavar="URI",
        help="storageUri of every service, or the word none: what services read stays, however old",
    )


def run(arguments: argparse.Namespace) -> Outcome:
    from redrec.store.retention import retain

    retained = retain(arguments.url, arguments.keep, arguments.served)
    kept, removed = (", ".join(names) or "none" for names in retained)
    return Outcome(retained._asdict(), f"Removed: {removed}.\nKept: {kept}.")
