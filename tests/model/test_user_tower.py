"""The user tower sees the past alone: not the future, not padding, not its neighbours in the batch."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from redrec.history import EventFeatures, History, HistoryConfig, mix
from redrec.model.config import DecoderConfig, TransformerConfig, UserTowerConfig
from redrec.model.user_tower import QueryGroups, Sizes, UserTower

B, L, E, D = 3, 12, 8, 6
LLAMA = DecoderConfig(
    architecture={
        "model_type": "llama",
        "vocab_size": 8,
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
)
QUERIES = UserTowerConfig(hidden_dim=16, num_queries=3, backbone=TransformerConfig(num_heads=2))
NO_QUERIES = UserTowerConfig(hidden_dim=16, num_queries=0, backbone=TransformerConfig(num_heads=2))
DECODER = UserTowerConfig(hidden_dim=16, num_queries=3, backbone=LLAMA)


def make(config: UserTowerConfig) -> UserTower:
    torch.manual_seed(0)
    tower = UserTower(config, nn.Linear(E, D, bias=False), Sizes(action=2, scenario=2), HistoryConfig())
    with torch.no_grad():
        if tower.queries is not None:
            tower.queries.learned_SQH.normal_()  # far apart, so that what tells them apart is not lost in rounding
    return tower.eval()


@pytest.fixture(params=[QUERIES, NO_QUERIES, DECODER], ids=["queries", "no queries", "decoder"])
def tower(request) -> UserTower:
    return make(request.param)


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    """Twelve events in two scenarios, and two query groups a user."""
    generator = torch.Generator().manual_seed(1)
    integers = {name: torch.randint(2, (B, L), generator=generator) for name in ("action_BL", "scenario_BL", "gap_BL")}
    return {
        "vectors_BLE": torch.randn(B, L, E, generator=generator),
        **integers,
        "hour_BL": torch.randint(24, (B, L), generator=generator),
        "is_event_BL": torch.ones(B, L, dtype=torch.bool),
        "query_scenario_BG": torch.tensor([[0, 1]] * B),
        "query_gap_BG": torch.tensor([[3, 5]] * B),
        "cut_BG": torch.tensor([[4, 9]] * B),
    }


def interests_of(tower: UserTower, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the tower's output of `inputs`; every group is queried unless they say otherwise."""
    events = EventFeatures(*(inputs[name] for name in EventFeatures._fields))
    is_queried_BG = inputs.get("is_queried_BG", torch.ones_like(inputs["cut_BG"], dtype=torch.bool))
    queries = QueryGroups(inputs["query_scenario_BG"], inputs["query_gap_BG"], inputs["cut_BG"], is_queried_BG)
    return tower(inputs["vectors_BLE"], events, queries)


def with_noise(inputs, is_changed_BL):
    noise = torch.randn(inputs["vectors_BLE"].shape, generator=torch.Generator().manual_seed(2))
    return inputs | {"vectors_BLE": inputs["vectors_BLE"] + noise * is_changed_BL[..., None]}


def test_interests_have_unit_norm(tower, inputs):
    torch.testing.assert_close(interests_of(tower, inputs).norm(dim=-1), torch.ones(B, 2, tower.num_interests))


def test_an_event_after_the_cut_changes_nothing_before_it(tower, inputs):
    later_BL = (torch.arange(L) >= 4).expand(B, L)
    before, after = interests_of(tower, inputs), interests_of(tower, with_noise(inputs, later_BL))
    torch.testing.assert_close(after[:, 0], before[:, 0])
    assert not torch.allclose(after[:, 1], before[:, 1], atol=1e-3)  # the later cut does see them


def test_every_event_before_the_cut_counts(tower, inputs):
    for index in range(4):
        changed = interests_of(tower, with_noise(inputs, (torch.arange(L) == index).expand(B, L)))
        assert (changed[:, 0] - interests_of(tower, inputs)[:, 0]).abs().amax() > 1e-4


def test_the_length_and_content_of_padding_change_nothing(tower, inputs):
    def padded(tensor: torch.Tensor) -> torch.Tensor:
        rest = torch.full((B, 5, *tensor.shape[2:]), 1, dtype=tensor.dtype)
        if tensor.dtype == torch.bool:
            rest = torch.zeros_like(rest)
        return torch.cat([tensor, rest], dim=1)

    longer = {name: padded(value) if name.endswith(("BL", "BLE")) else value for name, value in inputs.items()}
    torch.testing.assert_close(interests_of(tower, longer), interests_of(tower, inputs), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", [QUERIES, NO_QUERIES, DECODER], ids=["queries", "no queries", "decoder"])
def test_training_leaves_out_padding_and_what_is_not_queried_and_gets_the_same(config, inputs):
    """Without dropout: the packed tokens of training against the padded ones of serving, and the gradient is finite."""
    backbone = LLAMA if config is DECODER else TransformerConfig(num_heads=2, dropout=0)
    tower = make(config.model_copy(update={"dropout": 0, "backbone": backbone}))
    is_event_BL = torch.arange(L) < torch.tensor([[3], [12], [0]])
    padded = inputs | {"is_event_BL": is_event_BL, "cut_BG": torch.tensor([[2, 3], [4, 9], [0, 0]])}
    is_queried_BG = torch.tensor([[True, False], [True, True], [False, True]])
    served = interests_of(tower, padded)[is_queried_BG]
    trained = interests_of(tower.train(), padded | {"is_queried_BG": is_queried_BG})[is_queried_BG]
    torch.testing.assert_close(trained, served)
    trained.sum().backward()
    read = {name: p for name, p in tower.named_parameters() if "embed_tokens" not in name}  # a decoder's word table
    assert all(parameter.grad.isfinite().all() for parameter in read.values())


def test_the_batch_changes_nothing(tower, inputs):
    alone = {name: value[1:2] for name, value in inputs.items()}
    torch.testing.assert_close(interests_of(tower, alone)[0], interests_of(tower, inputs)[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", [QUERIES, DECODER], ids=["queries", "decoder"])
def test_the_queried_scenario_matters_to_its_own_group_alone(config, inputs):
    tower = make(config)
    queried, other = (
        interests_of(tower, inputs),
        interests_of(tower, inputs | {"query_scenario_BG": torch.tensor([[0, 0]] * B)}),
    )
    torch.testing.assert_close(other[:, 0], queried[:, 0])
    assert (other[:, 1] - queried[:, 1]).abs().amax() > 1e-3


def test_without_queries_the_queried_scenario_does_not_matter(inputs):
    tower = make(NO_QUERIES)
    other = inputs | {"query_scenario_BG": torch.tensor([[1, 0]] * B)}
    torch.testing.assert_close(interests_of(tower, other), interests_of(tower, inputs))


def test_a_left_out_feature_is_not_read(inputs):
    tower = make(NO_QUERIES.model_copy(update={"features": ("hour",)}))
    other = inputs | {name: 1 - inputs[name] for name in ("action_BL", "scenario_BL", "gap_BL")}
    torch.testing.assert_close(interests_of(tower, other), interests_of(tower, inputs))


def test_a_user_without_events_gets_finite_interests(tower, inputs):
    empty = inputs | {"is_event_BL": torch.zeros(B, L, dtype=torch.bool), "cut_BG": torch.zeros(B, 2, dtype=torch.long)}
    assert interests_of(tower, empty).isfinite().all()


@pytest.mark.parametrize("policy", ["sorted", "concat", "quota_1d", "quota_2d"])
def test_a_query_in_the_middle_of_a_history_is_answered_as_if_the_history_ended_there(policy, inputs):
    """Exactly with one layer. With two, events have seen what has expired since: nearly."""
    history, cut_BG = HistoryConfig(policy=policy, max_events=6, max_events_per_scenario=3), torch.tensor([[7, 11]] * B)
    for num_layers, min_cosine in ((1, 1 - 1e-5), (2, 0.98)):
        torch.manual_seed(0)
        config = QUERIES.model_copy(update={"backbone": TransformerConfig(num_layers=num_layers, num_heads=2)})
        tower = UserTower(config, nn.Linear(E, D, bias=False), Sizes(action=2, scenario=2), history).eval()
        torch.nn.init.normal_(tower.backbone.slope_DM1)
        middle_BGQD = interests_of(tower, inputs | {"cut_BG": cut_BG})
        for b, g in itertools.product(range(B), range(2)):
            scenario_L, cut = inputs["scenario_BL"][b].numpy(), int(cut_BG[b, g])
            events = History(np.arange(L), np.zeros(L, int), scenario_L, np.arange(L)).at(slice(cut))
            kept_L = torch.from_numpy(mix(events, np.zeros(cut, int), history))
            shown = {n: v[b : b + 1, kept_L] if n.endswith(("BL", "BLE")) else v[b : b + 1] for n, v in inputs.items()}
            ended_1GQD = interests_of(tower, shown | {"cut_BG": torch.tensor([[len(kept_L)] * 2])})
            assert (middle_BGQD[b, g] * ended_1GQD[0, g]).sum(-1).min() > min_cosine
