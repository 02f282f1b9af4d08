"""Registry: a new encoder is one file and two lines."""

import numpy as np
import pytest

from redrec.config import validated
from redrec.data.split import read_vocabulary
from redrec.model.encoders.config import ENCODER_CONFIGS
from redrec.model.encoders.registry import ENCODERS, readings, write_new_content
from redrec.training.config import OptimizerConfig
from redrec.training.presets import tiny
from redrec.training.recipe import Recipe
from redrec.training.trainer import load_towers, train
from tests.model.catalogs import write_items
from tests.model.encoders import title_length
from tests.worlds import write_world


@pytest.fixture
def recipe(monkeypatch) -> Recipe:
    """The tiny recipe as a user's file gives it, with the new encoder."""
    monkeypatch.setitem(ENCODERS, "title_length", title_length.ENCODER)
    monkeypatch.setitem(ENCODER_CONFIGS, "title_length", title_length.TitleLengthConfig)
    content = tiny().model_dump(mode="json")
    content["item_tower"]["encoder"] = {"kind": "title_length", "scale": 0.25}
    content["optimizer"] = OptimizerConfig(num_steps=2).model_dump(mode="json")
    return validated(Recipe, content, "recipe")


def test_a_new_encoder_is_configured_by_a_recipe_and_saved_with_it(recipe):
    assert recipe.item_tower.encoder == title_length.TitleLengthConfig(scale=0.25)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_new_encoder_is_trained_exported_and_loaded(recipe, tmp_path):
    data = write_world(tmp_path, num_users=100)
    train(data, tmp_path / "model", recipe)
    towers = load_towers(tmp_path / "model", read_vocabulary(data))
    assert isinstance(towers.items.encoder, title_length.TitleLengthEncoder)
    assert (tmp_path / "model" / "export" / "item_embeddings.npy").is_file()


def test_of_an_encoder_that_does_not_say_what_it_reads_every_text_counts(recipe, tmp_path):
    config = recipe.item_tower.encoder
    rows = [{"title": "tea", "body": "leaf"}, {"title": "tea", "body": "cup"}, {"title": "tea", "body": "leaf"}]
    items = write_items(tmp_path, rows)
    first, second, third = readings(items, config)
    assert first == third != second
    content = write_new_content(items, tmp_path / "new", config, tmp_path / "absent")
    assert content.of(np.arange(3))["length_M"].tolist() == [3, 3, 3]
