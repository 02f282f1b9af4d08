"""Ranker fit: one small network per scenario, from what users of the validation split chose among their contenders.

A network learns the targets' chances: a softmax over the user's contenders. Its linear part starts as the score of the
search at the temperature that explains the targets best, and it stops when the users left out are explained worse. All
that is measured at one time, and what explained those weeks may mislead in others. So what is served is half way
between the score and the network, in logits.

Shapes: U users, B of them in a step, C contenders, X those of all users, F features, H hidden, N items, Q interests,
D embedding.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from redrec.data.histories import TRAIN, VALIDATION, Histories, first_ms
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.cases import Case, EvaluationConfig, cases_of
from redrec.evaluation.contenders import contenders, popular_boosts, queries_of
from redrec.evaluation.scorers import Scorer
from redrec.folders import DataFolder
from redrec.index.ranker import FEATURES, MAX_DEVIATION, Networks, Ranker

logger = logging.getLogger(__name__)

MAX_USERS = 5000  # per scenario
MIN_USERS = 50  # with a target among their contenders; of fewer nothing is learned
LEFT_OUT = 0.2  # of the users, to stop by
SERVED_SHARE = 0.5  # of the network; the rest is the score
NUM_HIDDEN, NUM_EPOCHS, USERS_PER_STEP = 32, 40, 64
LEARNING_RATE, WEIGHT_DECAY = 3e-3, 0.05
MIN_DEVIATION = 1e-6
MASKED = -1e9


class User(NamedTuple):
    """One user's contenders."""

    features_CF: NDArray[np.floating]
    share_C: NDArray[np.floating]  # of the user's targets


class Observed(NamedTuple):
    """The contenders of all users; those of users with fewer are padded."""

    features_UCF: Tensor
    is_contender_UC: Tensor
    share_UC: Tensor  # of the user's targets

    def of(self, users: slice | Tensor) -> "Observed":
        return Observed(*(values[users] for values in self))


def fit_ranker(
    scorer: Scorer, data: Path, config: EvaluationConfig, num_contenders: int, logit_scale: float, seed: int
) -> Ranker:
    """Return the ranker of a data folder; `scorer` is the towers with their boosts.

    Without validation targets, or with `num_contenders` 0, it keeps the order of the search.
    """
    histories, scenarios = Histories(data), read_vocabulary(data).scenarios
    allowed_SN = is_allowed(DataFolder(data).items, scenarios)
    num_items, networks = allowed_SN.shape[1], Networks.by_score(len(scenarios), NUM_HIDDEN)
    at_validation = Ranker(num_contenders, logit_scale, first_ms(histories, num_items, TRAIN), networks)
    num_fitted = 0
    for s, name in enumerate(scenarios if num_contenders else ()):
        cases = cases_of(histories, s, VALIDATION, config.num_targets, MAX_USERS, seed=0)
        users = _observed(scorer, at_validation, histories, s, cases, allowed_SN[s])
        logger.info("ranker | %s | %d users with a target among their best %d items", name, len(users), num_contenders)
        if len(users) >= MIN_USERS:
            num_fitted += 1
            for values_S, values in zip(networks, fit_network(_padded(users, num_contenders), seed), strict=True):
                values_S[s] = values
    return Ranker(
        num_contenders if num_fitted else 0, logit_scale, first_ms(histories, num_items, VALIDATION), networks
    )


def _observed(
    scorer: Scorer,
    ranker: Ranker,
    histories: Histories,
    scenario: int,
    cases: list[Case],
    is_candidate_N: NDArray[np.bool_],
) -> list[User]:
    """Return the users of a scenario with a target among their contenders."""
    cases = sorted(cases, key=lambda case: case.moment_ms)
    queries = queries_of(scorer, histories, cases, scenario)
    best_U = contenders(scorer, queries, is_candidate_N, ranker.num_contenders)
    users = []
    for case, query, best in zip(cases, queries, best_U, strict=True):
        is_target_C = np.isin(best.items_K, case.target_T)
        if is_target_C.any():
            popular_C = popular_boosts(scorer, query)[best.items_K]
            features_CF = ranker.features(best, query, popular_C, scorer.embeddings_ND)
            users.append(User(features_CF, is_target_C / is_target_C.sum()))
    return users


def fit_network(users: Observed, seed: int) -> Networks:
    """Return the fitted network of one scenario: `Networks` without their first axis."""
    order_U = torch.from_numpy(np.random.default_rng(seed).permutation(len(users.share_UC)))
    num_left_out = round(LEFT_OUT * len(order_U))
    left_out, learned = users.of(order_U[:num_left_out]), users.of(order_U[num_left_out:])
    mean_F, deviation_F = _scale(learned)
    network = Network(mean_F, deviation_F, temperature(learned), seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    shuffle = torch.Generator().manual_seed(seed)
    best = (network.loss(left_out).item(), network.served())
    for _ in range(NUM_EPOCHS):
        for users_B in torch.randperm(len(learned.share_UC), generator=shuffle).split(USERS_PER_STEP):
            optimizer.zero_grad()
            network.loss(learned.of(users_B)).backward()
            optimizer.step()
        best = min(best, (network.loss(left_out).item(), network.served()), key=lambda scored: scored[0])
    return best[1]


class Network(nn.Module):
    """The network that is learned; it starts as the score at a temperature."""

    def __init__(self, mean_F: Tensor, deviation_F: Tensor, temperature: float, seed: int) -> None:
        super().__init__()
        self.mean_F, self.deviation_F = mean_F, deviation_F
        self.start_F = torch.eye(len(FEATURES))[0] * temperature * deviation_F
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

    def served(self) -> Networks:
        """Return what is served of the network as it is now."""
        linear_F = self.start_F + SERVED_SHARE * (self.linear_F - self.start_F)
        tensors = (self.mean_F, self.deviation_F, linear_F, self.hidden_FH, self.bias_H, SERVED_SHARE * self.out_H)
        return Networks(*(tensor.detach().clone().numpy() for tensor in tensors))


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


def _padded(users: list[User], num_contenders: int) -> Observed:
    features_UCF = np.zeros((len(users), num_contenders, len(FEATURES)), np.float32)
    is_contender_UC = np.zeros(features_UCF.shape[:2], bool)
    share_UC = np.zeros(features_UCF.shape[:2], np.float32)
    for u, user in enumerate(users):
        num = len(user.share_C)
        features_UCF[u, :num], share_UC[u, :num], is_contender_UC[u, :num] = user.features_CF, user.share_C, True
    return Observed(*map(torch.from_numpy, (features_UCF, is_contender_UC, share_UC)))
