"""New items: a trained model for a newer catalog, without another training.

An item that the model knows as it is keeps its vectors. A new one, or one whose content has changed since, gets them
from its content, as far as the model learned from contents: a vector of its own is learned in training alone. An item
that is not in the newer catalog is left out. Several processes may embed a shard each (`redrec.training.shards`), and
another one merges them.

Shapes: N items of the newer catalog, M to embed, X coordinates.
"""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from redrec.atomic import replaced_folder
from redrec.config import InputError, load_config
from redrec.data import columns as c
from redrec.data.histories import NEVER, VALIDATION, Histories, first_ms
from redrec.data.split import read_vocabulary
from redrec.folders import DataFolder, ModelFolder, ShardFolder, TablesFolder, write_json
from redrec.hashing import file_hash
from redrec.history import Ints, Vocabulary
from redrec.index.ranker import Ranker
from redrec.mapped import new_array
from redrec.model.encoders.content import ROWS_PER_BLOCK, EncodingProgress
from redrec.model.item_tower import write_new_item_content
from redrec.model.manifest import ModelManifest, read_model
from redrec.training.changes import Changes, catalog_changes, known_rows
from redrec.training.distributed import device
from redrec.training.export import export_items
from redrec.training.recipe import Recipe
from redrec.training.shards import Arrays, ShardManifest, checked_shards, is_whole, rows_in, write_shard
from redrec.training.trainer import load_towers

logger = logging.getLogger(__name__)


class Refresh:
    """A trained model and a newer catalog."""

    def __init__(self, model: Path, data: Path) -> None:
        """Compare the two.

        Raises:
            InputError: The model knows other scenarios or actions, or nothing of items that it was not trained on.
        """
        self.trained, self.old, self.data = read_model(model), ModelFolder(model), DataFolder(data)
        _check_vocabulary(self.trained, model, data)
        self.changes = catalog_changes(model, data)
        self.ids = pq.read_table(self.data.items, columns=[c.ITEM_ID])
        self.sizes = Arrays(*(rows_in(getattr(self.old, name)).shape[1] for name in Arrays._fields))
        self.model_hash, self.items_hash = file_hash(self.old.tower), file_hash(self.data.items)

    def manifest(self, index: int, count: int) -> ShardManifest:
        return ShardManifest(model_hash=self.model_hash, items_hash=self.items_hash, index=index, count=count)

    def embed(self, rows_M: Ints, out: ShardFolder) -> None:
        """Encode these items of the catalog."""
        with TemporaryDirectory() as scratch:
            items = TablesFolder(Path(scratch)).items
            write_rows(self.data.items, rows_M, items)
            _embed(self.old, self.trained.vocabulary, items, self.changes.known_N[rows_M], out)

    def merge(self, shards: Sequence[tuple[ShardFolder, Ints]], out: ModelFolder) -> None:
        """Write the arrays of the whole catalog: what the model has, and what the shards have."""
        for name, size in self.sizes._asdict().items():
            shape = (len(self.ids), size)
            merged_NX = new_array(getattr(out, name), np.float16, shape)
            kept, before_NX = np.flatnonzero(self.changes.is_kept_N), np.load(getattr(self.old, name), mmap_mode="r")
            for start in range(0, len(kept), ROWS_PER_BLOCK):
                rows_K = kept[start : start + ROWS_PER_BLOCK]
                merged_NX[rows_K] = before_NX[self.changes.known_N[rows_K]]
            for folder, rows_M in shards:
                embedded_MX = rows_in(getattr(folder, name))
                for start in range(0, len(rows_M), ROWS_PER_BLOCK):
                    block = slice(start, start + ROWS_PER_BLOCK)
                    merged_NX[rows_M[block]] = embedded_MX[block]
            merged_NX.flush()


def embed_shard(model: Path, data: Path, index: int, count: int, out: Path) -> int:
    """Embed one of `count` shards of the items that are new or have changed, and return how many those are.

    Args:
        model: Folder written by `redrec.training.trainer`, on any data folder.
        data: Folder written by `redrec.data.prepare`, with the model's scenarios and actions.
        index: Which shard, from 0.
        count: Into how many shards the items are dealt out.
        out: Folder of the shard. If it holds this shard already, of the same model and catalog, it is left as it is.

    Raises:
        InputError: As of `with_new_items`, or an item cannot be embedded.
    """
    if not 0 <= index < count:
        raise InputError(f"There is no shard {index} of {count}. Give an index of 0 to {count - 1}.")
    refresh = Refresh(model, data)
    manifest = refresh.manifest(index, count)
    rows_M = manifest.rows(refresh.changes.to_embed())
    if is_whole(ShardFolder(out), manifest):
        logger.info(f"shard {index} of {count} is whole: its {len(rows_M):,} items are not embedded again")
    else:
        logger.info(f"shard {index} of {count}: {len(rows_M):,} of {len(refresh.ids):,} items to embed")
        write_shard(out, manifest, refresh.ids, rows_M, refresh.sizes, refresh.embed)
    return len(rows_M)


def with_new_items(model: Path, data: Path, shards: Sequence[Path], out: Path) -> Changes:
    """Write the model for the catalog of `data` into `out`, ready for a release, and return what differs.

    Args:
        model: Folder written by `redrec.training.trainer`, on any data folder.
        data: Folder written by `redrec.data.prepare`, with the model's scenarios and actions.
        shards: All folders written by `embed_shard` for the two.
        out: New folder. It cannot be trained further, nor be the `model` of another call.

    Raises:
        InputError: The model knows other scenarios or actions, or nothing of items that it was not trained on; or a
            shard is absent, not finished or of another model or catalog.
    """
    refresh = Refresh(model, data)
    manifest = refresh.manifest(0, len(shards))
    checked = checked_shards(shards, manifest, refresh.ids, refresh.changes.to_embed(), refresh.sizes)
    with replaced_folder(out) as fresh:
        old, new = refresh.old, ModelFolder(fresh)
        new.export.mkdir()
        refresh.merge(checked, new)
        shutil.copyfile(old.tower, new.tower)
        _ranker(old, refresh.trained, data, refresh.changes.known_N).save(new.ranker)
        written = refresh.trained.model_copy(update={"items_hash": refresh.items_hash})
        write_json(new.manifest, written.model_dump(mode="json"))
    counts = [f"{number:,} {name.replace('_', ' ')}" for name, number in refresh.changes.counts().items()]
    logger.info(f"of {len(refresh.ids):,} items: {', '.join(counts)}")
    return refresh.changes


def embed_items(model: Path, items: Path, out: Path) -> None:
    """Write the vectors and the embeddings of a table of items, as a trained model encodes them, as `ShardFolder(out)`.

    Raises:
        InputError: The model knows nothing of items that it was not trained on, and some are such.
    """
    _embed(ModelFolder(model), read_model(model).vocabulary, items, known_rows(model, items), ShardFolder(out))


def _embed(old: ModelFolder, vocabulary: Vocabulary, items: Path, known_M: Ints, out: ShardFolder) -> None:
    config = load_config(Recipe, old.recipe).item_tower
    with TemporaryDirectory() as scratch:
        content = write_new_item_content(items, ModelFolder(Path(scratch)).content, config, old.content, known_M)
        towers = load_towers(old.path, vocabulary).to(device())
        export_items(towers, content, out, EncodingProgress(len(content)))


def write_rows(items: Path, rows_M: Ints, out: Path) -> None:
    """Write some rows of a Parquet table, which are in ascending order."""
    file, start = pq.ParquetFile(items), 0
    with pq.ParquetWriter(out, file.schema_arrow) as writer:
        for block in file.iter_batches(ROWS_PER_BLOCK):
            first, last = np.searchsorted(rows_M, [start, start + len(block)])
            if first < last:
                writer.write_batch(block.take(pa.array(rows_M[first:last] - start)))
            start += len(block)


def _check_vocabulary(trained: ModelManifest, model: Path, data: Path) -> None:
    vocabulary = read_vocabulary(data)
    if trained.vocabulary != vocabulary:
        raise InputError(
            f"{model} was trained for {trained.vocabulary}, and {data} has {vocabulary}. Set data.scenarios in the "
            "recipe to the model's, in their order. What the model does not know needs a training."
        )


def _ranker(old: ModelFolder, trained: ModelManifest, data: Path, known_N: Ints) -> Ranker:
    """Return the ranker with the time of each item's first event in the old and the new log."""
    ranker = Ranker.load(old.ranker, trained.logit_scale)
    before_N = np.where(known_N < 0, NEVER, ranker.first_ms_N[known_N])
    return ranker._replace(first_ms_N=np.minimum(before_N, first_ms(Histories(data), len(known_N), VALIDATION)))
