"""Shards: each is whole or absent, and a merge takes none that is of something else."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from redrec.config import InputError
from redrec.folders import ShardFolder, write_json
from redrec.history import Ints
from redrec.training.shards import Arrays, ShardManifest, checked_shards, is_whole, rows_in, write_shard

IDS = pa.table({"item_id": [f"i{row}" for row in range(20)]})
SIZES = Arrays(item_vectors=3, item_embeddings=2)
ROWS = np.array([1, 2, 5, 8, 9, 13, 17])


def manifest(index: int = 0, count: int = 3, model: str = "m", items: str = "c") -> ShardManifest:
    return ShardManifest(model_hash=model, items_hash=items, index=index, count=count)


def embed(rows_M: Ints, folder: ShardFolder) -> None:
    """Each item's vector is its row."""
    for name, size in SIZES._asdict().items():
        np.save(getattr(folder, name), np.repeat(rows_M[:, None], size, axis=1).astype(np.float16))


def written(out: Path, of: ShardManifest, rows_M: Ints = ROWS) -> Path:
    write_shard(out, of, IDS, of.rows(rows_M), SIZES, embed)
    return out


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    return [written(tmp_path / str(index), manifest(index)) for index in range(3)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_every_item_is_in_one_shard_of_any_number(tmp_path: Path, count: int):
    folders = [written(tmp_path / str(index), manifest(index, count)) for index in range(count)]
    checked = checked_shards(folders, manifest(0, count), IDS, ROWS, SIZES)
    assert sorted(np.concatenate([rows_M for _, rows_M in checked])) == ROWS.tolist()
    for folder, rows_M in checked:
        np.testing.assert_array_equal(rows_in(folder.item_vectors)[:, 0], rows_M)


def test_a_shard_is_whole_for_its_model_catalog_and_place_alone(shards: list[Path]):
    folder = ShardFolder(shards[1])
    assert is_whole(folder, manifest(1))
    others = [manifest(0), manifest(1, 2), manifest(1, model="n"), manifest(1, items="d")]
    assert not any(is_whole(folder, other) for other in others)


def test_an_error_leaves_the_earlier_shard_and_names_the_new_one(shards: list[Path]):
    def fail(rows_M: Ints, folder: ShardFolder) -> None:
        embed(rows_M, folder)
        raise InputError("The towers give nan.")

    with pytest.raises(InputError, match="Shard 1 of 3: The towers give nan"):
        write_shard(shards[1], manifest(1, model="n"), IDS, ROWS, SIZES, fail)
    assert is_whole(ShardFolder(shards[1]), manifest(1))


def test_a_shard_of_another_model_catalog_or_number_is_refused(shards: list[Path], tmp_path: Path):
    refusals = [
        (manifest(2, model="n"), "other, shard 2 of 3, is of another model. Remove it, and embed the shard again"),
        (manifest(2, items="d"), "other, shard 2 of 3, is of another catalog. Remove it"),
        (manifest(1, count=2), "other is shard 1 of 2, and 3 are given. Give all shards of one count"),
        (manifest(1), r"have the indices \[0, 1, 1\], and each of 0 .. 2 is needed once"),
    ]
    for other, message in refusals:
        path = written(tmp_path / "other", other)
        with pytest.raises(InputError, match=message):
            checked_shards([*shards[:2], path], manifest(), IDS, ROWS, SIZES)


def test_a_shard_that_is_not_finished_is_refused(shards: list[Path]):
    ShardFolder(shards[2]).manifest.unlink()
    with pytest.raises(InputError, match="2 is no finished shard: it has no shard.json. Embed it again"):
        checked_shards(shards, manifest(), IDS, ROWS, SIZES)


def test_a_shard_with_other_rows_sizes_or_values_is_refused(shards: list[Path]):
    folder, rows_M = ShardFolder(shards[1]), manifest(1).rows(ROWS)
    wrong: list[tuple[np.ndarray, str]] = [
        (np.zeros((len(rows_M), 4), np.float16), r"item_vectors of float16 of shape \(2, 4\), not .*\(2, 3\)"),
        (np.zeros((1, 3), np.float16), r"of shape \(1, 3\), not float16 of \(2, 3\)"),
        (np.zeros((len(rows_M), 3), np.float32), "item_vectors of float32"),
        (np.full((len(rows_M), 3), np.nan, np.float16), "item_vectors that are nan or infinite"),
    ]
    for values_MX, message in wrong:
        np.save(folder.item_vectors, values_MX)
        with pytest.raises(InputError, match=f"1, shard 1 of 3, has .*{message}.*Remove it, and embed the shard again"):
            checked_shards(shards, manifest(), IDS, ROWS, SIZES)
    written(shards[1], manifest(1), ROWS + 1)
    with pytest.raises(InputError, match="shard 1 of 3, has other items than the catalog gives it"):
        checked_shards(shards, manifest(), IDS, ROWS, SIZES)


def test_a_manifest_of_another_version_is_refused(shards: list[Path]):
    write_json(ShardFolder(shards[0]).manifest, {"model": "m"})
    with pytest.raises(InputError, match="shard.json"):
        checked_shards(shards, manifest(), IDS, ROWS, SIZES)
