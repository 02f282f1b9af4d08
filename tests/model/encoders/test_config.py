"""Config of the encoders: an unknown kind or key is an error that names the known ones."""

import pytest

from redrec.config import InputError, validated
from redrec.model.encoders.config import ENCODER_CONFIGS
from redrec.model.encoders.registry import ENCODERS
from redrec.training.recipe import Recipe


def test_an_encoder_has_one_name():
    assert {kind: config.model_fields["kind"].default for kind, config in ENCODER_CONFIGS.items()} == {
        kind: kind for kind in ENCODERS
    }


@pytest.mark.parametrize(("given", "seen"), [({"kind": "nosuch"}, "'nosuch'"), ({}, "None")])
def test_an_unknown_encoder_is_refused_and_the_known_ones_are_named(given, seen):
    message = f"^recipe: item_tower.encoder: .*kind is {seen}, allowed are 'hashed', 'vectors', 'text', 'ids_only'[.]$"
    with pytest.raises(InputError, match=message):
        validated(Recipe, {"item_tower": {"encoder": given}}, "recipe")


def test_an_unknown_key_of_an_encoder_is_named_by_its_path():
    unknown = "^recipe: item_tower.encoder.num_bucket: unknown key, did you mean num_buckets[?]"
    with pytest.raises(InputError, match=f"{unknown} Allowed keys of item_tower.encoder: kind, fields, num_buckets, "):
        validated(Recipe, {"item_tower": {"encoder": {"kind": "hashed", "num_bucket": 3}}}, "recipe")
