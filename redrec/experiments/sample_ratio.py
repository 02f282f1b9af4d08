"""Sample ratio: are the arms as large as planned? A test that may be read after each user.

A chi-squared test that is read every day alarms far more often than its level. The Bayes factor of a beta prior around
the planned share against that share itself is at least `1 / level` with a chance of at most `level`, however often it
is read (Lindon and Malek, NeurIPS 2022).
"""

import numpy as np
from scipy.special import betaln

CONCENTRATION = 1000  # of the prior: shares that differ from the plan by some hundredths are found soonest
INVALID_ABOVE = 1000.0  # a level of .001, as GrowthBook and Statsig have


def sample_ratio_evidence(num_control: int, num_treatment: int, treatment_share: float) -> float:
    """Return how much likelier the counts are under other shares than the planned one.

    >>> sample_ratio_evidence(50_000, 50_100, 0.5) < 1 < sample_ratio_evidence(49_000, 51_000, 0.5)
    True
    """
    a, b = CONCENTRATION * treatment_share, CONCENTRATION * (1 - treatment_share)
    log_factor = betaln(a + num_treatment, b + num_control) - betaln(a, b)
    log_factor -= num_treatment * np.log(treatment_share) + num_control * np.log1p(-treatment_share)
    return float(np.exp(min(log_factor, 700.0)))
