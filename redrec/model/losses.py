"""Window loss: every target of the next window pulls the interest that its cluster was matched to.

The targets of one query group are clustered on the sphere into as many clusters as there are interests. The clusters
are matched to the interests by exact search over permutations on the device (the released RED-Rec calls SciPy on the
CPU for each user). Each target is then the positive of its loss. Clustering and matching only choose the interest of
each target, so no gradient flows through them; it reaches every target and its matched interest. With association
`straight_through` the forward pass is the same, and the gradient is that of a softmax of the target over the
interests, so that the other interests learn as well.

A target's loss is the mean of two InfoNCE terms with the same positive. In the first, its own interest scores the
negatives: this keeps the interests apart. In the second, a negative has its best score over all interests, as in
serving. Without the second term each interest has its own scale, and a niche interest fills the top of the list; with
the second term alone the interests collapse. Where most targets suit any interest they come close to it all the same,
so each target also pays for interests of its group that are closer than `least_spread` (DPCML, arXiv:2409.01012).

Negatives are either all candidates of the scenario (the sum is then the full cross-entropy) or a draw from a mixture of
a uniform and a popularity proposal. For a draw the logQ correction subtracts the log of a negative's expected count,
so the sum over the draw estimates the sum over the catalog (Bengio and Senecal, 2008; Yi et al., 2019); the positive is
always present and is not corrected. An item may have a prior, a logit that is known without the towers: it is added to
the target's logit and subtracted from the correction of a negative, so that the towers learn the rest. A negative is
masked if its id is that of a target of the group, and in a draw also if its cosine with a target is nearly one. Where
lists leave out what a user has had, that is masked too: the softmax is over the items that a list can show.

Shapes: G query groups, W targets in the window, I items of a group, Q interests, N negatives, D embedding,
P permutations.
"""

from collections.abc import Callable
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.model.config import Association, LossConfig

NUM_KMEANS_STEPS = 5
MAX_NEGATIVE_COSINE = 0.99  # above it a negative counts as the target under another id (HLLM)
MASKED = -1e9  # finite, since all negatives of a group may be masked


def matched(chosen_GWQ: Tensor, logits_GWQ: Tensor) -> Tensor:
    """Return the matched interest of each target alone."""
    return chosen_GWQ


def straight_through(chosen_GWQ: Tensor, logits_GWQ: Tensor) -> Tensor:
    """Return the same value with the gradient of the softmax over the interests, so that all of them learn."""
    soft_GWQ = logits_GWQ.softmax(-1)
    return chosen_GWQ + soft_GWQ - soft_GWQ.detach()


# The weight of each interest for a target, from the one-hot choice and the target's logits for all interests.
ASSOCIATIONS: dict[Association, Callable[[Tensor, Tensor], Tensor]] = {
    "matched": matched,
    "straight_through": straight_through,
}


@torch.no_grad()
def cluster_targets(targets_GWD: Tensor, is_target_GW: Tensor, num_clusters: int) -> tuple[Tensor, Tensor]:
    """Spherical k-means of each group's targets: `centers_GQD` (unit norm or zero) and `cluster_GW`.

    The first center is the first target, each further one the target farthest from all chosen so far, so the result
    is deterministic. A group with fewer distinct targets than clusters has empty clusters, with a center of zero.
    """
    centers = [targets_GWD[:, 0]]
    hidden_GW = ~is_target_GW
    for _ in range(num_clusters - 1):
        nearest_GW = torch.stack([(targets_GWD * c[:, None]).sum(-1) for c in centers], -1).amax(-1)
        farthest_G = nearest_GW.masked_fill(hidden_GW, float("inf")).argmin(1)
        centers.append(targets_GWD[torch.arange(len(targets_GWD)), farthest_G])
    centers_GQD = torch.stack(centers, 1)
    for _ in range(NUM_KMEANS_STEPS):
        cluster_GW = (targets_GWD @ centers_GQD.transpose(1, 2)).argmax(-1)
        belongs_GWQ = F.one_hot(cluster_GW, num_clusters).to(targets_GWD.dtype) * is_target_GW[..., None]
        centers_GQD = F.normalize(belongs_GWQ.transpose(1, 2) @ targets_GWD, dim=-1)
    return centers_GQD, cluster_GW


@torch.no_grad()
def match_interests(centers_GQD: Tensor, interests_GQD: Tensor) -> Tensor:
    """Return `interest_GQ`, the interest of each cluster, with the greatest sum of cosines over all permutations."""
    num_queries = interests_GQD.shape[1]
    orders_PQ = torch.tensor(list(permutations(range(num_queries))), device=interests_GQD.device)
    cosine_GQQ = centers_GQD @ interests_GQD.transpose(1, 2)  # cluster, interest
    clusters_Q = torch.arange(num_queries, device=interests_GQD.device)
    best_G = cosine_GQQ[:, clusters_Q, orders_PQ].sum(-1).argmax(1)
    return orders_PQ[best_G]


def window_loss(
    interests_GQD: Tensor,
    targets_GWD: Tensor,
    is_target_GW: Tensor,
    prior_GW: Tensor,
    negatives_ND: Tensor,
    offset_N: Tensor,
    is_false_GN: Tensor,
    logit_scale: Tensor,
    config: LossConfig,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss summed over all targets, and sums to watch: `top1` over targets, `cosine` over groups.

    `top1` counts the targets that score above all negatives; `cosine` is the mean cosine between a group's interests,
    1 means that they collapsed.

    Args:
        interests_GQD: Unit-norm interests.
        targets_GWD: Unit-norm targets; target 0 of each group is present.
        is_target_GW: False where a group has fewer than W targets.
        prior_GW: Added to a target's logit.
        negatives_ND: Unit-norm negatives, shared by all groups.
        offset_N: Subtracted from a negative's logit: the log of its expected count in the draw (zero for a whole
            catalog), less its prior.
        is_false_GN: Where a negative is none for the group.
        logit_scale: Inverse temperature, a scalar above zero.
    """
    interest_GW = associate(targets_GWD.detach(), is_target_GW, interests_GQD.detach())
    cosine_GWQ = targets_GWD @ interests_GQD.transpose(1, 2)
    chosen_GWQ = F.one_hot(interest_GW, interests_GQD.shape[1]).to(cosine_GWQ.dtype)
    chosen_GWQ = ASSOCIATIONS[config.association](chosen_GWQ, logit_scale * cosine_GWQ)
    logit_GW = logit_scale * (chosen_GWQ * cosine_GWQ).sum(-1)
    positive_GW = logit_GW + prior_GW

    logits_GQN = logit_scale * (interests_GQD @ negatives_ND.T)
    logits_GQN = logits_GQN.masked_fill(is_false_GN[:, None], MASKED)
    own_GQ = (logits_GQN - offset_N).logsumexp(-1)
    loss_GW = torch.logaddexp(positive_GW, (chosen_GWQ * own_GQ[:, None]).sum(-1)) - positive_GW
    if interests_GQD.shape[1] > 1:
        served_G1 = (logits_GQN.amax(1) - offset_N).logsumexp(-1, keepdim=True)
        loss_GW = (loss_GW + torch.logaddexp(positive_GW, served_G1) - positive_GW) / 2
    interest_cosine_G = _mean_cosine(interests_GQD)
    loss_GW = loss_GW + F.relu(config.least_spread - 1 + interest_cosine_G)[:, None]
    with torch.no_grad():
        top1 = (logit_GW > logits_GQN.amax((1, 2))[:, None])[is_target_GW].float().sum()
    return loss_GW[is_target_GW].sum(), {"top1": top1, "cosine": interest_cosine_G.detach().sum()}


@torch.no_grad()
def associate(targets_GWD: Tensor, is_target_GW: Tensor, interests_GQD: Tensor) -> Tensor:
    """Return the interest of each target, `interest_GW`."""
    num_queries = interests_GQD.shape[1]
    if num_queries == 1:
        return torch.zeros_like(is_target_GW, dtype=torch.long)
    centers_GQD, cluster_GW = cluster_targets(targets_GWD, is_target_GW, num_queries)
    return match_interests(centers_GQD, interests_GQD).gather(1, cluster_GW)


@torch.no_grad()
def is_of_group(item_GI: Tensor, is_item_GI: Tensor, negative_N: Tensor, num_items: int) -> Tensor:
    """Return where a negative is by id one of the group's items, of its targets for example: `is_of_group_GN`.

    Numbers of the group's items are below `num_items`; a negative with the number `num_items` is of no group.
    """
    is_of_group_GX = torch.zeros(len(item_GI), num_items + 2, dtype=torch.bool, device=item_GI.device)
    is_of_group_GX.scatter_(1, item_GI.masked_fill(~is_item_GI, num_items + 1), True)
    return is_of_group_GX[:, negative_N]


@torch.no_grad()
def is_near_duplicate(targets_GWD: Tensor, is_target_GW: Tensor, negatives_ND: Tensor) -> Tensor:
    """Return where a negative nearly equals a target of the group by cosine, `is_false_GN`."""
    group_T = is_target_GW.nonzero()[:, 0]
    near = (targets_GWD[is_target_GW] @ negatives_ND.T > MAX_NEGATIVE_COSINE).nonzero()  # few: pairs of T and N
    is_false_GN = is_target_GW.new_zeros(len(targets_GWD), len(negatives_ND))
    is_false_GN[group_T[near[:, 0]], near[:, 1]] = True
    return is_false_GN


def _mean_cosine(interests_GQD: Tensor) -> Tensor:
    """Return the mean cosine between different interests of each group, `cosine_G`; zero for a single interest."""
    num_queries = interests_GQD.shape[1]
    cosine_GQQ = interests_GQD @ interests_GQD.transpose(1, 2)
    off_diagonal_G = cosine_GQQ.sum((1, 2)) - num_queries
    return off_diagonal_G / max(1, num_queries * (num_queries - 1))
