"""`redrec publish`: upload a run, data or model folder to an object store."""

import argparse
from pathlib import Path

from cli.command import Outcome

SUMMARY = "upload a run, data or model folder to an object store"
EXAMPLE = "# after `redrec demo`\nredrec publish demo/run s3://bucket/releases"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="run, data or model folder")
    parser.add_argument(
        "url",
        help="folder in the object store, s3://BUCKET/PREFIX; the upload is in a folder of it, named by its content",
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="of a run, also upload metrics, users' ranks, quarantined rows and reports (default: bundle and features)",
    )


def run(arguments: argparse.Namespace) -> Outcome:
    from redrec.bundle.release import publish

    published = publish(arguments.folder, arguments.url, is_whole=arguments.whole)
    upload = published.upload
    sent = f"Published {upload.url}: {upload.num_sent} files sent, {upload.num_kept} were there already."
    serve = f"\nServe it: storageUri: {upload.url}" if published.bundle_id else ""
    return Outcome({**upload._asdict(), "bundle_id": published.bundle_id}, f"{sent}{serve}")
