import json

import numpy as np
import pytest
import torch

from redrec.model.config import ItemTowerConfig
from redrec.model.encoders.config import IdsOnlyConfig, VisionConfig
from redrec.model.item_tower import (
    MADE_OF,
    ItemTower,
    content_hashes,
    write_item_content,
    write_new_item_content,
)
from tests.model.catalogs import encode, titled, write_items

TWINS = titled("green tea", "green tea", "running shoe")


def tower_of(tmp_path, config, rows=TWINS):
    content = write_item_content(write_items(tmp_path, rows), tmp_path / "content", config)
    torch.manual_seed(0)
    return ItemTower(config, content), content


def test_vectors_of_one_text_differ_by_what_ids_add(tmp_path):
    vectors_ME = encode(*tower_of(tmp_path, ItemTowerConfig()))
    assert not torch.allclose(vectors_ME[0], vectors_ME[1])
    assert not torch.allclose(vectors_ME[0], vectors_ME[2])


def test_ids_collide_only_where_the_catalog_is_larger_than_the_table(tmp_path):
    rows = titled(*["same"] * 50)
    _, content = tower_of(tmp_path, ItemTowerConfig(num_id_buckets=50), rows)
    assert sorted(content.of(np.arange(50))["id_M"].tolist()) == list(range(50))

    _, content = tower_of(tmp_path, ItemTowerConfig(num_id_buckets=49), rows)
    id_M = content.of(np.arange(50))["id_M"]
    assert id_M.max() < 49
    assert len(id_M.unique()) < 49


def test_an_item_is_encoded_alike_in_any_company(tmp_path):
    tower, content = tower_of(tmp_path, ItemTowerConfig(num_id_buckets=8))
    torch.testing.assert_close(encode(tower, content, [2, 0]), encode(tower, content)[[2, 0]])


def test_embeddings_are_of_unit_norm(tmp_path):
    tower, content = tower_of(tmp_path, ItemTowerConfig(item_dim=24, embedding_dim=16))
    embeddings_MD = tower.embed(encode(tower, content))
    assert embeddings_MD.shape == (3, 16)
    torch.testing.assert_close(embeddings_MD.norm(dim=1), torch.ones(3))


def test_content_is_written_again_only_when_something_changed(tmp_path):
    _, content = tower_of(tmp_path, ItemTowerConfig())
    made_of = tmp_path / "content" / MADE_OF
    written_ns = made_of.stat().st_mtime_ns

    tower_of(tmp_path, ItemTowerConfig())
    assert made_of.stat().st_mtime_ns == written_ns

    _, content = tower_of(tmp_path, ItemTowerConfig(), titled("green tea"))
    assert len(content) == 1
    _, content = tower_of(tmp_path, ItemTowerConfig(num_id_buckets=2), titled("green tea"))
    assert "id_M" in content.of(np.array([0]))
    assert json.loads(made_of.read_text())["config"] == ItemTowerConfig(num_id_buckets=2).model_dump_json()


def test_a_tower_of_ids_alone_has_one_row_per_item_and_reads_no_text(tmp_path):
    config = ItemTowerConfig(encoder=IdsOnlyConfig(), num_id_buckets=10**9)
    tower, content = tower_of(tmp_path, config, titled("green tea", "green tea", "black tea"))
    assert tower.ids.weight.shape == (3, config.item_dim)
    torch.testing.assert_close(encode(tower, content), tower.ids.weight)


def test_ids_alone_without_ids_are_refused():
    with pytest.raises(ValueError, match="set num_id_buckets"):
        ItemTowerConfig(encoder=IdsOnlyConfig())


def test_a_changed_item_keeps_its_learned_id(tmp_path):
    config = ItemTowerConfig(num_id_buckets=8)
    tower_of(tmp_path, config)
    new = write_items(tmp_path, titled("red tea", "black tea"))
    content = write_new_item_content(new, tmp_path / "new", config, tmp_path / "content", np.array([2, 0]))
    assert content.of(np.arange(2))["id_M"].tolist() == [2, 0]


def test_the_hash_of_an_item_is_of_its_text_and_its_image(tmp_path):
    rows = [{"title": "tea", "image": "a.png"}, {"title": "tea", "image": "b.png"}, {"title": "cup", "image": "a.png"}]
    items = write_items(tmp_path, rows)
    first, second, third = content_hashes(items, ItemTowerConfig())
    assert first == second != third
    config = ItemTowerConfig(vision=VisionConfig(model="absent", root=tmp_path))
    assert len(set(content_hashes(items, config))) == 3
