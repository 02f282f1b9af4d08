"""`redrec items`: bring new, changed and withdrawn items into the bundle of a run."""

import argparse
import os
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cli.command import Outcome, program
from redrec.bundle.check import check_run
from redrec.config import InputError, section
from redrec.folders import RunFolder, TablesFolder

if TYPE_CHECKING:
    import pyarrow as pa

    from redrec.bundle.manifest import BundleManifest
    from redrec.index.server import MilvusServer

SUMMARY = "bring new, changed and withdrawn items into the bundle of a run"
EXAMPLE = r"""# after `redrec demo`
printf 'item_id,title,category\nnew-1,Ripe mango,fruit\n' > new.csv
redrec items --run demo/run --items new.csv"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="run folder, as `redrec run` writes it")
    parser.add_argument("--items", help="new and changed items, in the columns and types of the run's item table")
    parser.add_argument(
        "--withdraw",
        nargs="+",
        default=[],
        metavar="ID",
        help="ids of items to show no more",
    )
    parser.add_argument(
        "--model", type=Path, help="model folder of the bundle (default: the run's own, if the run has trained it)"
    )


def run(arguments: argparse.Namespace) -> Outcome:
    started = time.monotonic()
    if not arguments.items and not arguments.withdraw:
        raise InputError("nothing to do: give --items with new and changed items, --withdraw with ids, or both.")
    check_run(arguments.run)
    folder = RunFolder(arguments.run)
    from redrec.bundle.activate import replacing
    from redrec.bundle.manifest import read_manifest
    from redrec.bundle.refresh import refresh_bundle

    with replacing(folder) as live:
        table, bad = given_items(arguments.items, live.manifest) if arguments.items else (live.items.slice(0, 0), [])
        embed = partial(embed_by, arguments.model or folder.model, live.manifest)
        server = index_server(live.manifest)
        counts = refresh_bundle(live, table, arguments.withdraw, folder.bundle, embed, server)
        after = read_manifest(folder.bundle)
    seconds = round(time.monotonic() - started, 1)
    result = {**counts._asdict(), "items": after.index.count, "bundle": after.id, "before": live.manifest.id}
    text = items_text(arguments.run, result, seconds) + "".join(f"\nSet aside: {rows}." for rows in bad)
    return Outcome({**result, "set_aside": bad, "seconds": seconds}, text)


def given_items(source: str, manifest: "BundleManifest") -> "tuple[pa.Table, list[str]]":
    """Return the good rows of an item table that is read as the run's was, and what is said of the bad ones."""
    import pyarrow.parquet as pq

    from redrec.data.item_table import write_item_table
    from redrec.data.prepare import DataConfig

    with TemporaryDirectory() as scratch:
        path = TablesFolder(Path(scratch)).items
        quality = write_item_table(source, path, section(manifest.config, "data", DataConfig), manifest.scenarios)
        counts = quality.quarantined.items()
        bad = [f"{count:,} x {reason} (such as: {quality.examples[reason][0]})" for reason, count in counts]
        return pq.read_table(path), bad


def embed_by(model: Path, manifest: "BundleManifest", items: Path, out: Path) -> None:
    """Encode a table of items as the bundle's model does."""
    from redrec.training.new_items import embed_items

    embed_items(checked_model(model, manifest), items, out)


def checked_model(model: Path, manifest: "BundleManifest") -> Path:
    """Return the model folder; raise InputError if the bundle was not made of it."""
    from redrec.folders import BundleFolder, ModelFolder
    from redrec.hashing import file_hash

    tower = ModelFolder(model).tower
    if not tower.is_file():
        raise InputError(
            f"There is no model in {model}, and it makes the vectors of new items. Give --model with the folder that "
            "the bundle's model was trained in."
        )
    if file_hash(tower) != manifest.files[BundleFolder(model).tower.name]:
        raise InputError(f"{model} is not the model of bundle {manifest.id}. Give the one that it was built from.")
    return model


def index_server(manifest: "BundleManifest") -> "MilvusServer | None":
    """Return the server that has the bundle's index, None if the bundle is searched in process."""
    from redrec.index.server import URI, milvus_server

    if manifest.index.collection is None:
        return None
    server = milvus_server(os.environ.get(URI), os.environ)
    if server is None:
        raise InputError(f"The index of bundle {manifest.id} is on a Milvus server. Set {URI} to its address.")
    return server


def items_text(run: Path, result: dict[str, int | str], seconds: float) -> str:
    return (
        f"{result['new']:,} new and {result['changed']:,} changed items embedded, {result['kept']:,} with the vectors "
        f"that they had, {result['withdrawn']:,} withdrawn: bundle {result['bundle']} of {result['items']:,} items, in "
        f"service after {seconds} s.\nA running `{program()} serve --run {run}` answers from it within seconds.\n\n"
        f"The way back: {program()} activate --run {run} --bundle {result['before']}"
    )
