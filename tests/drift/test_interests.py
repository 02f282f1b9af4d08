"""Interests: the features' products are the kernel, and vectors that are none are no events."""

import numpy as np
import pyarrow as pa

from redrec.drift.interests import BANDWIDTHS, RandomFeatures, squared_distances, vectors
from redrec.drift.permutation import Differences


def test_products_of_features_are_near_the_mean_of_the_kernels():
    rng = np.random.default_rng(0)
    sample_ND = rng.standard_normal((200, 16)).astype(np.float32)
    features = RandomFeatures("vector", sample_ND, seed=0)
    near_ND = np.stack([sample_ND[0], sample_ND[0] + 0.05])
    feature_NF = features.of(pa.array(list(near_ND), pa.list_(pa.float32())))
    distance, median = np.linalg.norm(near_ND[1] - near_ND[0]), np.sqrt(2 * 16)
    kernel = np.mean([np.exp(-(distance**2) / (2 * (bandwidth * median) ** 2)) for bandwidth in BANDWIDTHS])
    assert abs(feature_NF[0] @ feature_NF[1] - kernel) < 0.1
    assert abs(feature_NF[0] @ feature_NF[0] - 1) < 0.1


def test_lists_of_another_length_or_with_infinite_numbers_are_no_vectors():
    lists = pa.array([[1.0, 2.0], [1.0], None, [float("inf"), 0.0], [3.0, float("nan")]], pa.list_(pa.float64()))
    vector_ND, is_whole_N = vectors(lists, 2)
    assert is_whole_N.tolist() == [True, False, False, False, False]
    assert vector_ND.tolist() == [[1, 2], [0, 0], [0, 0], [0, 0], [0, 0]]


def test_the_distance_is_the_sum_of_squares():
    differences = Differences(np.array([3.0, 4.0], np.float32), np.array([[0, 1], [2, 0]], np.float32))
    observed, permuted_P = squared_distances(differences)
    assert (observed, permuted_P.tolist()) == (25, [1, 4])
