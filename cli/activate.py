"""`redrec activate`: put an earlier bundle of a run into service, or the later one again."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import Outcome, program
from cli.table import table
from redrec.bundle.check import check_run
from redrec.folders import RunFolder

if TYPE_CHECKING:
    from redrec.bundle.manifest import BundleManifest

SUMMARY = "put an earlier bundle of a run into service, or list those that it keeps"
EXAMPLE = "# after `redrec demo`\nredrec activate --run demo/run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="run folder, as `redrec run` writes it")
    parser.add_argument("--bundle", metavar="ID", help="id of a kept bundle (default: change nothing, list them)")


def run(arguments: argparse.Namespace) -> Outcome:
    check_run(arguments.run)
    folder = RunFolder(arguments.run)
    from redrec.bundle.activate import activate, kept_bundles
    from redrec.bundle.manifest import BundleManifest
    from redrec.config import load_config
    from redrec.folders import BundleFolder

    before = load_config(BundleManifest, BundleFolder(folder.bundle).manifest)
    if arguments.bundle is None:
        manifests = {manifest.id: manifest for manifest in (before, *kept_bundles(folder))}
        return Outcome({"live": before.id, "kept": list(manifests)}, listed(list(manifests.values()), arguments.run))
    live = activate(folder, arguments.bundle)
    text = (
        f"Bundle {live.manifest.id} is in service; a running server answers from it within seconds.\n\n"
        f"The way back: {program()} activate --run {arguments.run} --bundle {before.id}"
    )
    return Outcome({"live": live.manifest.id, "before": before.id}, text)


def listed(manifests: "list[BundleManifest]", run: Path) -> str:
    """Return a table of bundles; the first is the one in service."""
    rows = [["bundle", "built at", "items", "state"]]
    for number, manifest in enumerate(manifests):
        rows.append([manifest.id, manifest.created_at, f"{manifest.index.count:,}", "kept" if number else "in service"])
    return f"{table(rows)}\n\nNext: {program()} activate --run {run} --bundle ID"
