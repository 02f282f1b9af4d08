"""The window loss: every target counts, clusters and matching are right, false negatives do not."""

from itertools import permutations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.model.losses import cluster_targets, match_interests, window_loss

G, W, Q, N, D = 4, 6, 3, 20, 8
SCALE = torch.tensor(10.0)


def unit(*shape: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def loss_of(targets, *, interests=None, negatives=None, is_target=None):
    interests = unit(G, Q, D, seed=0) if interests is None else interests
    negatives = unit(N, D, seed=2) if negatives is None else negatives
    is_target = torch.ones(G, W, dtype=torch.bool) if is_target is None else is_target
    return window_loss(interests, targets, is_target, negatives, torch.zeros(len(negatives)), SCALE)[0]


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
    """Three planted interests, each with two targets: each cluster answers to the interest that lies on it."""
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


def test_a_negative_that_is_a_target_does_not_count():
    targets = unit(G, W, D, seed=1)
    negatives = unit(N, D, seed=2)
    with_target = torch.cat([negatives, targets[0, :1]])
    first_group = (targets[:1], torch.ones(1, W, dtype=torch.bool))
    one, other = (
        window_loss(unit(G, Q, D, seed=0)[:1], *first_group, n, torch.zeros(len(n)), SCALE)[0]
        for n in (negatives, with_target)
    )
    assert one == pytest.approx(other.item(), rel=1e-6)


def test_a_negative_that_another_interest_likes_counts_as_in_serving():
    """All targets answer to interest 0; a negative on interest 1 would outrank them in a merged list."""
    interests = torch.eye(D)[:Q].expand(1, Q, D)
    targets, is_target = interests[:, :1].expand(1, W, D), torch.ones(1, W, dtype=torch.bool)
    harmless, harmful = torch.eye(D)[7:8], torch.eye(D)[1:2]
    low, high = (window_loss(interests, targets, is_target, n, torch.zeros(1), SCALE)[0] for n in (harmless, harmful))
    assert high > low + 0.3


def test_logq_makes_a_draw_estimate_the_sum_over_the_catalog():
    """Each item drawn n times with log count log(n) weighs as if it stood there once."""
    negatives = unit(N, D, seed=2)
    drawn = negatives.repeat(3, 1)
    targets, is_target, interests = unit(G, W, D, seed=1), torch.ones(G, W, dtype=torch.bool), unit(G, Q, D, seed=0)
    once = window_loss(interests, targets, is_target, negatives, torch.zeros(N), SCALE)[0]
    thrice = window_loss(interests, targets, is_target, drawn, torch.full((3 * N,), 3.0).log(), SCALE)[0]
    assert thrice == pytest.approx(once.item(), rel=1e-5)


def test_collapsed_interests_show_as_cosine_one():
    interests = unit(G, 1, D, seed=0).expand(G, Q, D)
    watched = window_loss(
        interests, unit(G, W, D, seed=1), torch.ones(G, W, dtype=torch.bool), unit(N, D, seed=2), torch.zeros(N), SCALE
    )[1]
    assert watched["cosine"] == pytest.approx(1.0, abs=1e-5)
