"""New items: a trained model for a newer catalog, without another training.

An item that the model knows keeps its vectors, also where its text has changed since. A new one gets them from its
content, as far as the model learned from contents: a vector of its own is learned in training alone. An item that is
not in the newer catalog is left out.

Shapes: N items of the newer catalog, M new ones among them, E item vector, D embedding.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import Tensor

from redrec.config import InputError, load_config
from redrec.data import columns as c
from redrec.data.histories import NEVER, VALIDATION, Histories, first_ms
from redrec.data.split import read_vocabulary
from redrec.folders import DataFolder, ModelFolder, write_json
from redrec.hashing import file_hash
from redrec.history import Ints
from redrec.index.ranker import Ranker
from redrec.model.encoders.config import HashedConfig
from redrec.model.encoders.hashed import without_own
from redrec.model.item_tower import ItemContent, write_item_content
from redrec.model.manifest import ModelManifest, read_model
from redrec.training.export import export_items
from redrec.training.recipe import Recipe
from redrec.training.trainer import load_towers


def with_new_items(model: Path, data: Path, out: Path) -> int:
    """Write the model for the catalog of `data` into `out`, ready for a release, and return how many items are new.

    Args:
        model: Folder written by `redrec.training.trainer`, on any data folder.
        data: Folder written by `redrec.data.prepare`, with the model's scenarios and actions.
        out: New folder. It cannot be trained further, nor be the `model` of another call.

    Raises:
        InputError: The model knows other scenarios or actions, or nothing of items that it was not trained on.
    """
    trained, old, new = read_model(model), ModelFolder(model), ModelFolder(out)
    _check_vocabulary(trained, model, data)
    row_N = _rows(old, DataFolder(data).items)
    new_M = np.flatnonzero(row_N < 0)
    new.export.mkdir(parents=True)
    with TemporaryDirectory() as scratch:
        embedded = ModelFolder(Path(scratch))
        if len(new_M):
            _embed(old, trained, DataFolder(data).items, new_M, embedded)
        for name in ("item_vectors", "item_embeddings"):
            of_known, of_new = getattr(old, name), getattr(embedded, name)
            np.save(getattr(new, name), _merged(of_known, of_new, row_N))
    shutil.copyfile(old.tower, new.tower)
    _ranker(old, trained, data, row_N).save(new.ranker)
    manifest = trained.model_copy(update={"items_hash": file_hash(DataFolder(data).items)})
    write_json(new.manifest, manifest.model_dump(mode="json"))
    return len(new_M)


def _check_vocabulary(trained: ModelManifest, model: Path, data: Path) -> None:
    vocabulary = read_vocabulary(data)
    if trained.vocabulary != vocabulary:
        raise InputError(
            f"{model} was trained for {trained.vocabulary}, and {data} has {vocabulary}. Set data.scenarios in the "
            "recipe to the model's, in their order. What the model does not know needs a training."
        )


def _rows(old: ModelFolder, items: Path) -> Ints:
    """Return the model's row of each item of the catalog, `row_N`, -1 if it is new."""
    if not old.item_ids.is_file():
        raise InputError(f"{old.path} does not say which items it knows: it has no {old.item_ids.name}. Train again.")
    known, ids = (pq.read_table(path, columns=[c.ITEM_ID])[c.ITEM_ID] for path in (old.item_ids, items))
    return pc.index_in(ids, known.combine_chunks()).fill_null(-1).to_numpy()


def _embed(old: ModelFolder, trained: ModelManifest, items: Path, new_M: Ints, out: ModelFolder) -> None:
    """Encode the new items; the content is that of the whole catalog, since an encoder may compare its items."""
    recipe = load_config(Recipe, old.recipe)
    if recipe.item_tower.num_id_buckets:
        raise InputError(
            f"{old.path} has learned a vector for each item id, and {len(new_M):,} items of {items} are new to it. "
            "Train again, without item_tower.num_id_buckets if new items are to be served between trainings."
        )
    content = write_item_content(items, out.content, recipe.item_tower)
    towers = load_towers(old.path, trained.vocabulary)
    out.export.mkdir()
    export_items(towers, NewItems(content, new_M, recipe), out)


class NewItems:
    """The content of some items, without own buckets, since the catalog of the training numbers these."""

    def __init__(self, content: ItemContent, new_M: Ints, recipe: Recipe) -> None:
        self.content, self.new_M, self.encoder = content, new_M, recipe.item_tower.encoder

    def __len__(self) -> int:
        return len(self.new_M)

    def of(self, items_M: NDArray[np.int64]) -> dict[str, Tensor]:
        inputs = self.content.of(self.new_M[items_M])
        return without_own(inputs, self.encoder) if isinstance(self.encoder, HashedConfig) else inputs


def _merged(of_known: Path, of_new: Path, row_N: Ints) -> NDArray[np.float16]:
    merged_NX = np.load(of_known, mmap_mode="r")[row_N]
    if (row_N < 0).any():
        merged_NX[row_N < 0] = np.load(of_new)
    return merged_NX


def _ranker(old: ModelFolder, trained: ModelManifest, data: Path, row_N: Ints) -> Ranker:
    """Return the ranker with the time of each item's first event in the old and the new log."""
    ranker = Ranker.load(old.ranker, trained.logit_scale)
    before_N = np.where(row_N < 0, NEVER, ranker.first_ms_N[row_N])
    return ranker._replace(first_ms_N=np.minimum(before_N, first_ms(Histories(data), len(row_N), VALIDATION)))
