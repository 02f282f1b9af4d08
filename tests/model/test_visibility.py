"""Visibility: at every cut a token sees exactly the events that serving would show, at the same distances."""

import numpy as np
import pytest
import torch

from redrec.history import History, HistoryConfig, mix
from redrec.model.visibility import Visibility

L, NUM_SCENARIOS = 40, 3
POLICIES = ("sorted", "concat", "quota_1d", "quota_2d")


def config(policy: str) -> HistoryConfig:
    return HistoryConfig(policy=policy, max_events=9, max_events_per_scenario=4)


@pytest.fixture
def history() -> History:
    """One busy scenario, two sparse ones."""
    rng = np.random.default_rng(0)
    scenario_L = rng.choice(NUM_SCENARIOS, L, p=[0.7, 0.2, 0.1])
    return History(np.arange(L), np.zeros(L, np.int64), scenario_L, np.arange(L) * 60_000)


def visible_at_every_cut(history: History, policy: str, num_padding: int = 0):
    scenario_1L = torch.from_numpy(np.pad(history.scenario_L, (0, num_padding)))[None]
    is_event_1L = torch.arange(L + num_padding)[None] < L
    return Visibility(scenario_1L, is_event_1L, NUM_SCENARIOS, config(policy)).from_cuts(torch.arange(L + 1)[None])


@pytest.mark.parametrize("policy", POLICIES)
def test_each_cut_sees_the_events_that_serving_would_show(history, policy):
    is_visible_TK = visible_at_every_cut(history, policy).is_visible_BTK[0].numpy()
    assert is_visible_TK[:, 0].all()  # the start
    for cut in range(L + 1):
        served_L = mix(history.at(slice(cut)), np.zeros(cut, np.int64), config(policy))
        assert np.flatnonzero(is_visible_TK[cut, 1:]).tolist() == served_L.tolist()


@pytest.mark.parametrize("policy", POLICIES)
def test_the_distances_of_a_cut_are_those_of_the_events_that_serving_would_show(history, policy):
    distances = visible_at_every_cut(history, policy).distances
    assert len(distances) == config(policy).num_distances
    for cut in range(1, L + 1):
        served_L = mix(history.at(slice(cut)), np.zeros(cut, np.int64), config(policy))
        in_time_L = len(served_L) - np.arange(len(served_L))
        assert distances[0][0, cut, 1 + served_L].tolist() == in_time_L.tolist()
        assert distances[0][0, cut, 0] == len(served_L) + 1
        scenario_L = history.scenario_L[served_L]
        if policy == "quota_2d":
            expected_L = [1 + (scenario_L[i + 1 :] == scenario).sum() for i, scenario in enumerate(scenario_L)]
            assert distances[1][0, cut, 1 + served_L].tolist() == expected_L
        if policy == "concat":
            by_scenario_L = np.argsort(scenario_L, kind="stable")
            expected_L = len(served_L) - np.argsort(by_scenario_L)
            assert distances[1][0, cut, 1 + served_L].tolist() == expected_L.tolist()


@pytest.mark.parametrize("policy", POLICIES)
def test_padding_is_not_visible_and_changes_nothing(history, policy):
    alone, padded = visible_at_every_cut(history, policy), visible_at_every_cut(history, policy, num_padding=5)
    assert not padded.is_visible_BTK[..., L + 1 :].any()
    assert torch.equal(padded.is_visible_BTK[..., : L + 1], alone.is_visible_BTK)
    for with_padding_BTK, distance_BTK in zip(padded.distances, alone.distances, strict=True):
        assert torch.equal(
            with_padding_BTK[alone.is_visible_BTK.nonzero(as_tuple=True)], distance_BTK[alone.is_visible_BTK]
        )
