"""Optimizer: each parameter learns at the rate and decay of its module's group."""

import pytest
import torch

from redrec.history import Vocabulary
from redrec.model.config import DecoderConfig, ItemTowerConfig
from redrec.model.encoders.config import TextConfig
from redrec.model.item_tower import write_item_content
from redrec.model.parameter_groups import LANGUAGE_MODEL, MATRIX, TABLE, UNDECAYED
from redrec.training.config import OptimizerConfig
from redrec.training.optimizer import make_optimizer, parameter_groups
from redrec.training.presets import PRESETS
from redrec.training.recipe import Recipe
from redrec.training.towers import Towers
from tests.model.catalogs import tiny_decoder, titled, write_items

VOCABULARY = Vocabulary(scenarios=("homefeed", "ads"), actions=("click",))
HASHED = {
    "items.encoder.bags.weight": TABLE,
    "items.encoder.mlp.1.weight": MATRIX,
    "items.encoder.mlp.1.bias": UNDECAYED,
    "items.encoder.norm.weight": UNDECAYED,
}
NO_QUERIES = {
    "items.head.weight": MATRIX,
    "users.project.weight": MATRIX,
    "users.start_H": UNDECAYED,
    "users.backbone.slope_DM1": UNDECAYED,
    "users.backbone.layers.0.query.weight": MATRIX,
    "users.to_item.weight": MATRIX,
    "log_scale": UNDECAYED,
}
QUERIES = NO_QUERIES | {
    "users.queries.learned_SQH": UNDECAYED,
    "users.queries.newest.weight": MATRIX,
    "users.queries.features.gap.weight": UNDECAYED,
}
EXPECTED = {
    "redrec": HASHED | QUERIES,
    "paper": HASHED | QUERIES,
    "hllm": HASHED | NO_QUERIES,
    "sasrec": {"items.ids.weight": TABLE} | NO_QUERIES,
    "tiny": HASHED | QUERIES,
}


def make_towers(folder, recipe: Recipe) -> Towers:
    content = write_item_content(
        write_items(folder, titled("green tea", "shoe")), folder / "content", recipe.item_tower
    )
    return Towers(recipe, VOCABULARY, content)


def groups_by_name(towers: Towers) -> dict[str, str]:
    groups = parameter_groups(towers)
    return {name: groups[parameter] for name, parameter in towers.named_parameters()}


def by_former_rule(name: str, parameter: torch.nn.Parameter) -> str:
    """Return the group from the parameter's name, an independent statement of what the modules say."""
    if name.endswith(("bags.weight", "ids.weight")):
        return TABLE
    if ".language_model." in name:
        return LANGUAGE_MODEL
    return MATRIX if parameter.ndim == 2 and ".features." not in name else UNDECAYED


def assert_groups_are_those_of_the_names(towers: Towers) -> None:
    assert groups_by_name(towers) == {name: by_former_rule(name, value) for name, value in towers.named_parameters()}


def test_every_preset_has_its_expectation():
    assert EXPECTED.keys() == PRESETS.keys()


@pytest.mark.parametrize("preset", PRESETS)
def test_parameters_of_each_preset_are_in_their_groups(preset, tmp_path):
    towers = make_towers(tmp_path, PRESETS[preset]())
    assert EXPECTED[preset].items() <= groups_by_name(towers).items()
    assert_groups_are_those_of_the_names(towers)


@pytest.mark.parametrize("regime", ["frozen", "lora", "full"])
def test_a_language_model_is_a_group_and_its_projection_is_not_in_it(regime, tmp_path):
    encoder = TextConfig(model=tiny_decoder(tmp_path), regime=regime, pooling="last_token")
    towers = make_towers(tmp_path, Recipe(item_tower=ItemTowerConfig(encoder=encoder)))
    projection = "items.encoder" if regime == "frozen" else "items.encoder.projection"
    groups = groups_by_name(towers)
    assert (groups[f"{projection}.linear.weight"], groups[f"{projection}.absent_E"]) == (MATRIX, UNDECAYED)
    assert (LANGUAGE_MODEL in groups.values()) == (regime != "frozen")
    assert_groups_are_those_of_the_names(towers)


def test_a_decoder_as_backbone_is_of_the_towers_own_groups(tmp_path):
    architecture = {"model_type": "llama", "vocab_size": 8, "hidden_size": 16, "intermediate_size": 32}
    backbone = DecoderConfig(architecture={**architecture, "num_hidden_layers": 1, "num_attention_heads": 2})
    users = PRESETS["tiny"]().user_tower.model_copy(update={"backbone": backbone})
    assert_groups_are_those_of_the_names(make_towers(tmp_path, Recipe(user_tower=users)))


def test_groups_and_their_parameters_keep_their_order_rates_and_decays(tmp_path):
    towers = make_towers(tmp_path, PRESETS["tiny"]())
    config = OptimizerConfig(learning_rate=0.1, table_learning_rate=0.2, weight_decay=0.3, table_weight_decay=0.4)
    table, matrix, undecayed = make_optimizer(towers, config).param_groups
    assert [(group["peak"], group["weight_decay"]) for group in (table, matrix, undecayed)] == [
        (0.2, 0.4),
        (0.1, 0.3),
        (0.1, 0.0),
    ]
    groups = parameter_groups(towers)
    expected = [parameter for parameter in towers.parameters() if groups[parameter] == MATRIX]
    assert [id(parameter) for parameter in matrix["params"]] == [id(parameter) for parameter in expected]


def test_a_language_model_learns_at_its_own_rate(tmp_path):
    encoder = TextConfig(model=tiny_decoder(tmp_path), regime="full")
    towers = make_towers(tmp_path, Recipe(item_tower=ItemTowerConfig(encoder=encoder)))
    groups = make_optimizer(towers, OptimizerConfig(learning_rate=0.1, language_model_learning_rate=0.5)).param_groups
    own = {id(parameter) for parameter in towers.items.encoder.language_model.parameters()}
    assert {id(parameter) for group in groups if group["peak"] == 0.5 for parameter in group["params"]} == own
    assert {group["peak"] for group in groups} == {0.5, 0.1}


def test_parameters_that_do_not_learn_are_left_out(tmp_path):
    encoder = TextConfig(model=tiny_decoder(tmp_path), regime="lora")
    towers = make_towers(tmp_path, Recipe(item_tower=ItemTowerConfig(encoder=encoder)))
    num_learned = sum(parameter.requires_grad for parameter in towers.parameters())
    assert num_learned < len(list(towers.parameters()))
    assert sum(len(group["params"]) for group in make_optimizer(towers, OptimizerConfig()).param_groups) == num_learned
