"""Choice model: a softmax over the items that each user chooses from (conditional logit), and the fit of its weights.

The log-likelihood is concave, so the fit has one answer. A Gaussian prior decides where there are few users. Weights
have a least value (L-BFGS-B of SciPy).

Shapes: U users, X pairs of a user and an item to choose from, C items of one user, F features.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from redrec.history import Ints

Floats = NDArray[np.floating]


class Choices(NamedTuple):
    """What all users chose from, user after user."""

    features_XF: Floats
    share_X: Floats  # of the user's targets, zero for an item that is none
    begin_U: Ints  # of each user's items

    @classmethod
    def of(cls, features: Sequence[Floats], is_target: Sequence[NDArray[np.bool_]]) -> "Choices | None":
        """Return the choices of the users with a target, from `features_CF` and `is_target_C` of each; None if none."""
        with_target = [u for u, is_target_C in enumerate(is_target) if is_target_C.any()]
        if not with_target:
            return None
        shares = [is_target[u] / is_target[u].sum() for u in with_target]
        begin_U = np.cumsum([0, *(len(share_C) for share_C in shares[:-1])])
        return cls(np.concatenate([features[u] for u in with_target]), np.concatenate(shares), begin_U)

    def log_chances(self, weights_F: Floats) -> Floats:
        """Return the log of each item's chance, `log_chance_X`."""
        score_X = self.features_XF @ weights_F
        size_U = np.diff(self.begin_U, append=len(score_X))
        score_X -= np.repeat(np.maximum.reduceat(score_X, self.begin_U), size_U)
        return score_X - np.repeat(np.log(np.add.reduceat(np.exp(score_X), self.begin_U)), size_U)


def most_likely(
    choices: Choices | None, prior: Sequence[float], prior_sd: float, least: Sequence[float]
) -> list[float]:
    """Return the most likely weight of each feature; without choices, those of the prior."""
    if choices is None:
        return list(prior)
    bounds = [(value, None) for value in least]
    fit = minimize(_loss, prior, (choices, np.array(prior), prior_sd), jac=True, method="L-BFGS-B", bounds=bounds)
    weights: list[float] = np.maximum(fit.x, least).tolist()  # on some processors L-BFGS-B ends 1e-16 below a bound
    return weights


def _loss(weights_F: Floats, choices: Choices, prior_F: Floats, prior_sd: float) -> tuple[float, Floats]:
    """Return minus the log of likelihood and prior, and its gradient."""
    log_chance_X, share_X = choices.log_chances(weights_F), choices.share_X
    from_prior_F = (weights_F - prior_F) / prior_sd
    loss = 0.5 * (from_prior_F**2).sum() - share_X @ log_chance_X
    return loss, (np.exp(log_chance_X) - share_X) @ choices.features_XF + from_prior_F / prior_sd
