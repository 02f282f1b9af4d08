"""Ranker networks: small networks per scenario, learned from what users chose among their contenders.

A network learns the targets' chances: a softmax over the user's contenders. What the features are worth is much the
same in all scenarios, and a scenario alone has few users who tell. So one network is learned from the users of all
scenarios, and each scenario's goes on from it with its own; a scenario with too few users keeps the common one.

The common network's linear part starts as the score of the search at the temperature that explains the targets best,
and learning stops when the users left out are explained worse. All that is measured at one time, and what explained
those weeks may mislead in others. So what is served is half way between the score and the network, in logits. Networks
that begin otherwise rank better or worse by some percent, so three are learned, and the mean of their logits is served.

Shapes: U users, B of them in a step, C contenders, X those of all users, F features, H hidden.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.index.ranker import FEATURES, MAX_DEVIATION, Networks

MIN_USERS = 50  # of fewer nothing is learned
LEFT_OUT = 0.2  # of the users, to stop by
SERVED_SHARE = 0.5  # of the network; the rest is the score
NUM_NETWORKS = 3  # whose mean is served
NUM_HIDDEN, NUM_EPOCHS, USERS_PER_STEP = 32, 40, 64
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 0.05
MIN_DEVIATION = 1e-6
MASKED = -1e9


class Observed(NamedTuple):
    """The contenders of users, and which of them were their targets; those of users with fewer are padded."""

    features_UCF: Tensor
    is_contender_UC: Tensor
    share_UC: Tensor  # of the user's targets

    @classmethod
    def of_all(cls, scenarios: Sequence[Self]) -> Self:
        """Return the users of all scenarios, one after the other."""
        return cls(*map(torch.cat, zip(*scenarios, strict=True)))

    @property
    def num_users(self) -> int:
        return len(self.share_UC)

    def of(self, users: Tensor) -> Self:
        return type(self)(*(values[users] for values in self))


class FitSplit(NamedTuple):
    """The users that a network is learned from, and those left out to stop by."""

    learned: Observed
    left_out: Observed

    @classmethod
    def drawn(cls, users: Observed, seed: int) -> Self:
        order_U = torch.from_numpy(np.random.default_rng(seed).permutation(users.num_users))
        num_left_out = round(LEFT_OUT * users.num_users)
        return cls(users.of(order_U[num_left_out:]), users.of(order_U[:num_left_out]))


def fit_networks(scenarios: Sequence[Observed], seed: int) -> Networks:
    """Return the networks that are served, one for each scenario's users; of all at least `MIN_USERS` are needed."""
    scale = _scale(Observed.of_all(scenarios))
    fits = [_fitted(scenarios, scale, NUM_NETWORKS * seed + n) for n in range(NUM_NETWORKS)]
    return Networks(*map(np.stack, zip(*map(mean_of, zip(*fits, strict=True)), strict=True)))


def _fitted(scenarios: Sequence[Observed], scale: tuple[Tensor, Tensor], seed: int) -> list[Networks]:
    """Return what is served of one network for each scenario, without the first axis."""
    splits = [FitSplit.drawn(users, seed) for users in scenarios]
    of_all = FitSplit(*map(Observed.of_all, zip(*splits, strict=True)))
    common = trained(Network(of_all.learned, scale, seed), of_all, seed)
    return [
        (trained(copy.deepcopy(common), split, seed) if users.num_users >= MIN_USERS else common).served()
        for users, split in zip(scenarios, splits, strict=True)
    ]


def mean_of(networks: Sequence[Networks]) -> Networks:
    """Return one network with the mean logits of several of the same scale, all without the first axis."""
    mean_F, deviation_F, linear, *hidden = zip(*networks, strict=True)
    hidden_FH, bias_H, out_H = (np.concatenate(values, axis=-1) for values in hidden)
    return Networks(mean_F[0], deviation_F[0], np.mean(linear, 0), hidden_FH, bias_H, out_H / len(networks))


class Network(nn.Module):
    """A network that is learned; it starts as the score at the temperature of the users' choices."""

    def __init__(self, users: Observed, scale: tuple[Tensor, Tensor], seed: int) -> None:
        super().__init__()
        self.mean_F, self.deviation_F = scale
        self.start_F = torch.eye(len(FEATURES))[0] * temperature(users) * self.deviation_F
        self.linear_F = nn.Parameter(self.start_F.clone())
        bound, random = len(FEATURES) ** -0.5, torch.Generator().manual_seed(seed)
        self.hidden_FH = nn.Parameter(bound * (2 * torch.rand(len(FEATURES), NUM_HIDDEN, generator=random) - 1))
        self.bias_H = nn.Parameter(bound * (2 * torch.rand(NUM_HIDDEN, generator=random) - 1))
        self.out_H = nn.Parameter(torch.zeros(NUM_HIDDEN))

    def loss(self, users: Observed) -> Tensor:
        """Return the mean over users of minus the log of their targets' chance."""
        scaled_UCF = (users.features_UCF - self.mean_F) / self.deviation_F
        hidden_UCH = F.relu(scaled_UCF.clamp(-MAX_DEVIATION, MAX_DEVIATION) @ self.hidden_FH + self.bias_H)
        logit_UC = scaled_UCF @ self.linear_F + hidden_UCH @ self.out_H
        log_chance_UC = logit_UC.masked_fill(~users.is_contender_UC, MASKED).log_softmax(1)
        return -(users.share_UC * log_chance_UC).sum(1).mean()

    @torch.no_grad()
    def loss_of(self, users: Observed) -> float:
        """Return the loss of users that nothing is learned from."""
        return self.loss(users).item()

    def served(self) -> Networks:
        """Return what is served of the network: `Networks` without their first axis."""
        linear_F = self.start_F + SERVED_SHARE * (self.linear_F - self.start_F)
        tensors = (self.mean_F, self.deviation_F, linear_F, self.hidden_FH, self.bias_H, SERVED_SHARE * self.out_H)
        return Networks(*(tensor.detach().numpy() for tensor in tensors))


def trained(network: Network, split: FitSplit, seed: int) -> Network:
    """Return the network as it was after the epoch, or at its start, that explains the users left out best."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    shuffle = torch.Generator().manual_seed(seed)
    least, best = network.loss_of(split.left_out), copy.deepcopy(network)
    for _ in range(NUM_EPOCHS):
        for users_B in torch.randperm(split.learned.num_users, generator=shuffle).split(USERS_PER_STEP):
            optimizer.zero_grad()
            network.loss(split.learned.of(users_B)).backward()
            optimizer.step()
        loss = network.loss_of(split.left_out)
        if loss < least:
            least, best = loss, copy.deepcopy(network)
    return best


def temperature(users: Observed) -> float:
    """Return the factor of the score that makes the targets most likely."""
    score_UC = users.features_UCF[..., 0]

    def loss(log_factor: float) -> float:
        logit_UC = (np.exp(log_factor) * score_UC).masked_fill(~users.is_contender_UC, MASKED)
        return float(-(users.share_UC * logit_UC.log_softmax(1)).sum(1).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 1), method="bounded").x))


def _scale(users: Observed) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of each feature over all contenders, 1 for a constant."""
    features_XF = users.features_UCF[users.is_contender_UC]
    deviation_F = features_XF.std(0, correction=0)
    return features_XF.mean(0), torch.where(deviation_F > MIN_DEVIATION, deviation_F, 1.0)
