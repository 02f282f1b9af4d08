"""Config of the model: what it may hold is known without torch, and is what the modules take."""

import subprocess
import sys
from typing import get_args

import pytest

from redrec.config import InputError, validated
from redrec.model.config import BACKBONE_CONFIGS, Association, ItemTowerConfig, LossConfig, UserTowerConfig
from redrec.model.losses import ASSOCIATIONS
from redrec.model.user_tower import BACKBONES


def test_a_recipe_is_read_without_torch():
    script = "import sys, redrec.training.recipe; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_name_that_a_recipe_may_hold_has_its_module():
    assert {kind: config.model_fields["kind"].default for kind, config in BACKBONE_CONFIGS.items()} == {
        kind: kind for kind in BACKBONES
    }
    assert get_args(Association) == tuple(ASSOCIATIONS)


def test_an_unknown_association_is_refused_and_the_known_ones_are_named():
    with pytest.raises(InputError, match="association: Input should be 'matched' or 'straight_through', not 'nosuch'"):
        validated(LossConfig, {"association": "nosuch"}, "recipe")


def test_an_unknown_backbone_is_refused_and_the_known_ones_are_named():
    with pytest.raises(
        InputError, match="^recipe: backbone: .*kind is 'nosuch', allowed are 'transformer', 'decoder'[.]$"
    ):
        validated(UserTowerConfig, {"backbone": {"kind": "nosuch"}}, "recipe")


def test_without_ids_ids_alone_are_refused():
    with pytest.raises(InputError, match="encoder.kind is ids_only and there are no ids: set num_id_buckets"):
        validated(ItemTowerConfig, {"encoder": {"kind": "ids_only"}}, "recipe")
