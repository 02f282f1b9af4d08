"""Sample ratio: no alarm however often it is read, and a planted mismatch found."""

import numpy as np

from redrec.experiments.sample_ratio import INVALID_ABOVE, sample_ratio_evidence

LOOKS = range(400, 80_001, 400)


def highest_evidence(seed: int, share: float, planned: float = 0.5) -> float:
    num_treatment_N = np.cumsum(np.random.default_rng(seed).random(LOOKS[-1]) < share)
    return max(sample_ratio_evidence(n - num_treatment_N[n - 1], num_treatment_N[n - 1], planned) for n in LOOKS)


def test_two_hundred_looks_raise_no_alarm_without_a_mismatch():
    assert sum(highest_evidence(seed, 0.5) >= INVALID_ABOVE for seed in range(100)) == 0
    assert sum(highest_evidence(seed, 0.1, planned=0.1) >= INVALID_ABOVE for seed in range(50)) == 0


def test_49_to_51_is_found_by_80_000_users():
    assert np.mean([highest_evidence(seed, 0.51) >= INVALID_ABOVE for seed in range(50)]) > 0.8
