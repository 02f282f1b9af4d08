"""Assignment: a user id in, a bucket in 0..1 and an arm out, the same on every machine and every day.

The hash is GrowthBook's version 2, bit for bit, so GrowthBook's SDKs may assign an experiment that is
read here. Version 1 is not offered: its buckets are correlated between parallel experiments. Only namespaces use it, as
they do there.

Of other than ASCII ids the UTF-8 bytes are hashed. GrowthBook's SDKs differ there: some hash code units. So that a user
keeps their arm in every client, assign such users here alone, or log the hexadecimal SHA-1 of their ids.

The seed (`Plan.seed`) is the experiment's name if a shared model changes (a user has one arm in all scenarios), and
`experiment:scenario` if only the model of one scenario changes.

Source: https://docs.growthbook.io/lib/build-your-own (hash, inNamespace, getBucketRanges, chooseVariation).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from redrec.config import InputError
from redrec.experiments.plan import Arm, Plan

NUM_BUCKETS = 10_000  # GrowthBook v2; the smallest share is 1 / 10 000
FNV_OFFSET = 0x811C9DC5
FNV_PRIME = 0x01000193

NUM_NAMESPACE_BUCKETS = 1000

Range = tuple[float, float]


def arm_of(plan: Plan, scenario: str, user_id: str) -> Arm | None:
    """Return the arm of a user in a scenario; None is outside the experiment."""
    if plan.namespace is not None:
        own = namespace_bucket(plan.namespace.name, user_id)
        if not plan.namespace.low <= own < plan.namespace.high:
            return None
    position = choose_arm(bucket(plan.seed(scenario), user_id), _ranges(plan))
    return None if position is None else plan.arms[position]


def arms_of(plan: Plan, scenario: str, user_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return `arm_of` of every user as a position among the plan's arms, `arm_N`, with -1 outside the experiment."""
    arm_N = choose_arms(buckets(plan.seed(scenario), user_ids), _ranges(plan))
    if plan.namespace is not None:
        own_N = namespace_buckets(plan.namespace.name, user_ids)
        arm_N[(own_N < plan.namespace.low) | (own_N >= plan.namespace.high)] = -1
    return arm_N


def _ranges(plan: Plan) -> tuple[Range, ...]:
    return bucket_ranges([arm.weight for arm in plan.arms], plan.coverage)


def bucket(seed: str, value: str) -> float:
    """Return the bucket of `value` in [0, 1), in steps of 1 / 10 000.

    >>> bucket("", "a"), bucket("b", "ef"), bucket("exp1:ads", "u123")
    (0.0216, 0.4549, 0.9318)
    """
    return _fnv1a32(str(_fnv1a32((seed + value).encode())).encode()) % NUM_BUCKETS / NUM_BUCKETS


def buckets(seed: str, values: Sequence[str]) -> NDArray[np.float64]:
    """Return `bucket(seed, value)` of every value, `bucket_N`, for logs of millions of users."""
    first_N = _fnv1a32_many([(seed + value).encode() for value in values])
    second_N = _fnv1a32_many([str(number).encode() for number in first_N.tolist()])
    return second_N % NUM_BUCKETS / NUM_BUCKETS


def namespace_bucket(name: str, value: str) -> float:
    """Return the bucket of `value` in a namespace, in [0, 1) and steps of 1 / 1000."""
    return _fnv1a32(f"{value}__{name}".encode()) % NUM_NAMESPACE_BUCKETS / NUM_NAMESPACE_BUCKETS


def namespace_buckets(name: str, values: Sequence[str]) -> NDArray[np.float64]:
    """Return `namespace_bucket(name, value)` of every value, `bucket_N`."""
    number_N = _fnv1a32_many([f"{value}__{name}".encode() for value in values])
    return number_N % NUM_NAMESPACE_BUCKETS / NUM_NAMESPACE_BUCKETS


def bucket_ranges(weights: Sequence[float], coverage: float = 1.0) -> tuple[Range, ...]:
    """Return one half-open range per arm; every assigned user stays in the same arm if `coverage` grows later.

    With a coverage of 0 nobody is assigned.

    >>> bucket_ranges([0.4, 0.6], coverage=0.5)
    ((0.0, 0.2), (0.4, 0.7))
    """
    if not 0 <= coverage <= 1 or min(weights) <= 0 or abs(sum(weights) - 1) > 1e-9:
        raise InputError(
            f"Arm weights {list(weights)} with coverage {coverage} cannot be assigned: weights are positive and sum "
            "to 1, coverage is from 0 to 1. Correct the plan."
        )
    starts = [sum(weights[:position], start=0.0) for position in range(len(weights))]
    return tuple((start, start + coverage * weight) for start, weight in zip(starts, weights, strict=True))


def choose_arm(bucket_value: float, ranges: Sequence[Range]) -> int | None:
    """Return the position of the arm with the bucket in its range; None is outside the experiment.

    >>> choose_arm(0.5, ((0.0, 0.2), (0.4, 0.7))), choose_arm(0.3, ((0.0, 0.2), (0.4, 0.7)))
    (1, None)
    """
    inside = [position for position, (low, high) in enumerate(ranges) if low <= bucket_value < high]
    return inside[0] if inside else None


def choose_arms(bucket_N: NDArray[np.float64], ranges: Sequence[Range]) -> NDArray[np.int64]:
    """Return `choose_arm` of every bucket, `arm_N`, with -1 for users outside the experiment."""
    arm_N = np.full(len(bucket_N), -1)
    for position, (low, high) in enumerate(ranges):
        arm_N[(bucket_N >= low) & (bucket_N < high)] = position
    return arm_N


def _fnv1a32(data: bytes) -> int:
    value = FNV_OFFSET
    for byte in data:
        value = (value ^ byte) * FNV_PRIME & 0xFFFFFFFF
    return value


def _fnv1a32_many(texts: Sequence[bytes]) -> NDArray[np.uint32]:
    length_N = np.array([len(text) for text in texts], dtype=np.int64)
    width = int(length_N.max(initial=1))
    byte_NW = np.array(texts, dtype=f"S{width}").view(np.uint8).reshape(len(texts), width).astype(np.uint32)
    value_N = np.full(len(texts), FNV_OFFSET, dtype=np.uint32)
    for position in range(width):
        next_N = (value_N ^ byte_NW[:, position]) * np.uint32(FNV_PRIME)  # wraps at 2^32, as FNV-1a does
        value_N = np.where(position < length_N, next_N, value_N)
    return value_N
