"""The window loss: every target counts, clusters and matching are right, false negatives do not."""

from itertools import permutations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.model.config import LossConfig
from redrec.model.losses import (
    ASSOCIATIONS,
    cluster_targets,
    is_near_duplicate,
    is_of_group,
    match_interests,
    window_loss,
)

G, W, Q, N, D = 4, 6, 3, 20, 8
SCALE = torch.tensor(10.0)
MATCHED = LossConfig()
ALL = torch.ones(G, W, dtype=torch.bool)


def unit(*shape: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def loss_of(
    targets, *, interests=None, negatives=None, is_target=ALL, prior=None, offset=None, is_false=None, config=MATCHED
):
    """Return the mean loss of random interests and negatives, or of those given."""
    interests = unit(G, Q, D, seed=0) if interests is None else interests
    negatives = unit(N, D, seed=2) if negatives is None else negatives
    is_target = is_target[: len(targets), : targets.shape[1]]
    prior = torch.zeros(is_target.shape) if prior is None else prior
    offset = torch.zeros(len(negatives)) if offset is None else offset
    is_false = is_near_duplicate(targets, is_target, negatives) if is_false is None else is_false
    loss, _ = window_loss(interests, targets, is_target, prior, negatives, offset, is_false, SCALE, config)
    return loss / is_target.sum()


def test_gradient_reaches_every_target():
    targets = unit(G, W, D, seed=1).requires_grad_()
    loss_of(targets).backward()
    assert (targets.grad.norm(dim=-1) > 1e-4).all()  # a zero is a mis-sliced target, the public release's defect


def test_replacing_the_targets_changes_the_loss():
    assert abs(loss_of(unit(G, W, D, seed=1)) - loss_of(unit(G, W, D, seed=3))) > 1e-2


def test_absent_targets_change_nothing():
    is_target = torch.arange(W).expand(G, W) < 4
    one, other = unit(G, W, D, seed=1), unit(G, W, D, seed=1)
    other[:, 4:] = unit(G, 2, D, seed=9)
    assert loss_of(one, is_target=is_target) == loss_of(other, is_target=is_target)


def test_gradient_reaches_the_matched_interest_of_each_planted_cluster():
    """Three planted interests, each with two targets: each cluster answers to the interest at its centre."""
    interests = F.normalize(torch.eye(D)[:Q] + 0.05, dim=-1).expand(G, Q, D)
    targets = interests.repeat_interleave(2, dim=1)
    shuffled = interests[:, [2, 0, 1]]
    assert loss_of(targets, interests=shuffled) == pytest.approx(loss_of(targets, interests=interests).item(), rel=1e-5)
    assert loss_of(targets, interests=interests) < 0.1 < loss_of(targets, interests=-interests)


def test_planted_clusters_are_found():
    planted = torch.eye(D)[:Q][[0, 0, 1, 1, 2, 2]]
    targets = F.normalize(planted + 0.1 * unit(1, W, D, seed=5), dim=-1)
    _, cluster_GW = cluster_targets(targets, torch.ones(1, W, dtype=torch.bool), Q)
    pairs = cluster_GW[0].view(3, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert len(set(pairs[:, 0].tolist())) == Q


def test_matching_equals_search_over_all_permutations():
    centers, interests = unit(G, Q, D, seed=6), unit(G, Q, D, seed=7)
    chosen = match_interests(centers, interests)
    for g in range(G):
        best = max(
            permutations(range(Q)), key=lambda p, g=g: sum(float(centers[g, q] @ interests[g, p[q]]) for q in range(Q))
        )
        assert chosen[g].tolist() == list(best)


def test_a_negative_that_nearly_is_a_target_does_not_count():
    targets, negatives = unit(1, W, D, seed=1), unit(N, D, seed=2)
    near = F.normalize(targets[0, :1] + 0.01 * unit(1, D, seed=8), dim=-1)
    interests = unit(1, Q, D, seed=0)
    alone = loss_of(targets, interests=interests, negatives=negatives)
    joined = loss_of(targets, interests=interests, negatives=torch.cat([negatives, near]))
    assert joined == pytest.approx(alone.item(), rel=1e-6)


def test_false_negatives_are_known_by_id_in_their_own_group_alone():
    target_GW, is_target_GW = torch.tensor([[3, 5], [7, 9]]), torch.tensor([[True, True], [True, False]])
    result = is_of_group(target_GW, is_target_GW, torch.tensor([5, 7, 9, 10]), num_items=10)
    assert result.tolist() == [[True, False, False, False], [False, True, False, False]]


def test_a_group_whose_negatives_are_all_targets_has_a_finite_gradient():
    targets = unit(G, W, D, seed=1).requires_grad_()
    loss = loss_of(targets, is_false=torch.ones(G, N, dtype=torch.bool))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert targets.grad.isfinite().all()


def test_with_all_candidates_and_one_interest_it_is_the_cross_entropy():
    """Against torch's own: the catalog holds the positive once, and the loss adds what it masks."""
    catalog, interests = unit(N, D, seed=2), unit(G, 1, D, seed=0)
    target_GW, is_target_GW = torch.tensor([[0], [3], [3], [19]]), torch.ones(G, 1, dtype=torch.bool)
    is_false = is_of_group(target_GW, is_target_GW, torch.arange(N), N)
    result, _ = window_loss(
        interests,
        catalog[target_GW],
        is_target_GW,
        torch.zeros(G, 1),
        catalog,
        torch.zeros(N),
        is_false,
        SCALE,
        MATCHED,
    )
    expected = F.cross_entropy(SCALE * interests[:, 0] @ catalog.T, target_GW[:, 0], reduction="sum")
    torch.testing.assert_close(result, expected)


def test_straight_through_changes_the_gradient_alone():
    """The interests that were not chosen for a target learn from it too."""
    targets, gradients, losses = unit(1, 1, D, seed=1), {}, {}
    for association in ("matched", "straight_through"):
        interests = unit(1, Q, D, seed=0).requires_grad_()
        negatives = torch.zeros(1, D)  # so that nothing else reaches the interests that are not chosen
        config = LossConfig(association=association)
        losses[association] = loss_of(targets, interests=interests, negatives=negatives, config=config)
        losses[association].backward()
        gradients[association] = (interests.grad[0].norm(dim=-1) > 1e-6).sum().item()
    assert losses["matched"] == losses["straight_through"]
    assert gradients == {"matched": 1, "straight_through": Q}


def test_a_negative_that_another_interest_likes_counts_as_in_serving():
    """All targets answer to interest 0; a negative on interest 1 would outrank them in a merged list."""
    interests = torch.eye(D)[:Q].expand(1, Q, D)
    targets = interests[:, :1].expand(1, W, D)
    harmless, harmful = torch.eye(D)[7:8], torch.eye(D)[1:2]
    low, high = (loss_of(targets, interests=interests, negatives=n) for n in (harmless, harmful))
    assert high > low + 0.3


def test_logq_makes_a_draw_estimate_the_sum_over_the_catalog():
    """Each item drawn n times with log count log(n) weighs as if it stood there once."""
    targets, negatives = unit(G, W, D, seed=1), unit(N, D, seed=2)
    thrice = loss_of(targets, negatives=negatives.repeat(3, 1), offset=torch.full((3 * N,), 3.0).log())
    assert thrice == pytest.approx(loss_of(targets, negatives=negatives).item(), rel=1e-5)


def test_a_prior_is_a_logit_that_the_towers_need_not_learn():
    """Towers that know nothing have, with the log of the items' chances as prior, minus that log as loss."""
    log_chance_N = (torch.arange(1.0, N + 1) / N).softmax(0).log()
    alike, one_each = unit(1, D, seed=1).expand(N, D), torch.ones(N, 1, dtype=torch.bool)
    is_false, prior = torch.eye(N, dtype=torch.bool), log_chance_N[:, None]
    result, _ = window_loss(
        unit(N, 1, D, seed=0), alike[:, None], one_each, prior, alike, -log_chance_N, is_false, SCALE, MATCHED
    )
    assert result == pytest.approx(-log_chance_N.sum().item(), rel=1e-5)


def test_a_negative_of_infinite_count_weighs_nothing():
    """What fills up a process's share of the negatives."""
    targets, negatives = unit(G, W, D, seed=1), unit(N, D, seed=2)
    filled = torch.cat([negatives, negatives[:2]]), torch.cat([torch.zeros(N), torch.full((2,), torch.inf)])
    result = loss_of(targets, negatives=filled[0], offset=filled[1])
    assert result == pytest.approx(loss_of(targets, negatives=negatives).item(), rel=1e-6)


def test_collapsed_interests_show_as_cosine_one():
    interests, negatives = unit(G, 1, D, seed=0).expand(G, Q, D), unit(N, D, seed=2)
    is_false = torch.zeros(G, N, dtype=torch.bool)
    targets, no_prior = unit(G, W, D, seed=1), torch.zeros(G, W)
    watched = window_loss(interests, targets, ALL, no_prior, negatives, torch.zeros(N), is_false, SCALE, MATCHED)[1]
    assert watched["cosine"] == pytest.approx(G, abs=1e-4)


def test_interests_closer_than_the_least_spread_are_driven_apart_and_others_are_left_alone():
    targets, apart = unit(G, W, D, seed=1), unit(G, Q, D, seed=0)
    near = F.normalize(apart[:, :1] + 0.1 * apart, dim=-1)
    for interests, is_near in ((near, True), (apart, False)):
        without, guarded = (
            loss_of(targets, interests=interests, config=LossConfig(least_spread=spread)) for spread in (0.0, 0.2)
        )
        assert (guarded > without + 0.1) == is_near


def test_a_new_association_is_one_function_and_its_names(monkeypatch):
    """Here every interest answers for every target, evenly."""
    monkeypatch.setitem(ASSOCIATIONS, "even", lambda chosen_GWQ, logits_GWQ: torch.full_like(chosen_GWQ, 1 / Q))
    interests = unit(1, Q, D, seed=0).requires_grad_()
    loss_of(
        unit(1, 1, D, seed=1),
        interests=interests,
        config=LossConfig.model_construct(association="even", least_spread=0.1),
    ).backward()
    assert (interests.grad[0].norm(dim=-1) > 1e-6).all()
