"""Registry: a new encoder is one file and one line; an unknown one is an error that names the known ones."""

import pytest

from redrec.config import InputError, validated
from redrec.data.split import read_vocabulary
from redrec.model.encoders.registry import ENCODERS
from redrec.training.optimizer import OptimizerConfig
from redrec.training.presets import tiny
from redrec.training.recipe import Recipe
from redrec.training.trainer import load_towers, train
from tests.model.encoders import title_length
from tests.worlds import write_world


@pytest.fixture
def recipe(monkeypatch) -> Recipe:
    """The tiny recipe as a user's file gives it, with the new encoder."""
    monkeypatch.setitem(ENCODERS, "title_length", title_length.ENCODER)
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


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_has_one_name(kind):
    assert ENCODERS[kind].config.model_fields["kind"].default == kind


@pytest.mark.parametrize(("given", "seen"), [({"kind": "nosuch"}, "'nosuch'"), ({}, "None")])
def test_an_unknown_encoder_is_refused_and_the_known_ones_are_named(given, seen):
    message = f"^recipe: item_tower.encoder: .*kind is {seen}, allowed are 'hashed', 'vectors', 'text', 'ids_only'[.]$"
    with pytest.raises(InputError, match=message):
        validated(Recipe, {"item_tower": {"encoder": given}}, "recipe")


def test_an_unknown_key_of_an_encoder_is_named_by_its_path():
    unknown = "^recipe: item_tower.encoder.num_bucket: unknown key, did you mean num_buckets[?]"
    with pytest.raises(InputError, match=f"{unknown} Allowed keys of item_tower.encoder: kind, fields, num_buckets, "):
        validated(Recipe, {"item_tower": {"encoder": {"kind": "hashed", "num_bucket": 3}}}, "recipe")
