"""`redrec fetch`: download what `redrec publish` uploaded, and check every file."""

import argparse
from pathlib import Path

from cli.command import Outcome

SUMMARY = "download a published folder from an object store, and check every file"
EXAMPLE = "redrec fetch s3://bucket/releases/NAME release"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="folder in the object store, as `redrec publish` prints it")
    parser.add_argument("out", type=Path, help="folder to write; an earlier download in it is replaced as a whole")


def run(arguments: argparse.Namespace) -> Outcome:
    from redrec.bundle.release import fetch

    files = fetch(arguments.url, arguments.out).files
    num_bytes = sum(entry.size for entry in files.values())
    return Outcome(
        {"out": str(arguments.out), "num_files": len(files), "num_bytes": num_bytes},
        f"Wrote {arguments.out}: {len(files)} files, {num_bytes / 1e6:.1f} MB, each with the hash of its list.",
    )
