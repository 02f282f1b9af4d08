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
    folder = RunFolder(arguments.run)
    if not folder.bundles.is_dir():  # else it is a run, and the bundle in service may be broken
        check_run(arguments.run)
    return listed(folder) if arguments.bundle is None else activated(folder, arguments.bundle)


def activated(run: RunFolder, bundle_id: str) -> Outcome:
    from redrec.bundle.activate import activate

    result = activate(run, bundle_id)
    if result.problem is None:
        last = f"The way back: {program()} activate --run {run.path} --bundle {result.before}"
    else:
        last = f"The bundle before was broken, and is set aside in {run.broken}: {result.problem}"
    text = f"Bundle {bundle_id} is in service; a running server answers from it within seconds.\n\n{last}"
    return Outcome({"live": bundle_id, "before": result.before, "problem": result.problem}, text)


def listed(run: RunFolder) -> Outcome:
    """List the bundle in service first, if it can be read, and those that are kept."""
    from redrec.bundle.activate import kept_bundles

    live, problem = live_manifest(run)
    kept = {manifest.id: manifest for manifest in (*([live] if live else []), *kept_bundles(run))}
    rows = [["bundle", "built at", "items", "state"]]
    for manifest in kept.values():
        state = "in service" if manifest is live else "kept"
        rows.append([manifest.id, manifest.created_at, f"{manifest.index.count:,}", state])
    lines = [table(rows), *([f"The bundle in service is broken: {problem}"] if problem else [])]
    text = "\n\n".join([*lines, f"Next: {program()} activate --run {run.path} --bundle ID"])
    return Outcome({"live": live and live.id, "kept": list(kept), "problem": problem}, text)


def live_manifest(run: RunFolder) -> "tuple[BundleManifest | None, str | None]":
    """Return the manifest of the bundle in service, or what is wrong with it."""
    from redrec.bundle.manifest import read_manifest
    from redrec.config import InputError

    try:
        check_run(run.path)
        return read_manifest(run.bundle), None
    except InputError as error:
        return None, str(error)
