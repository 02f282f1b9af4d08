"""Metrics against hand arithmetic."""

import re

import numpy as np
import pytest

from redrec.evaluation.metrics import METRIC_PATTERN, METRICS_AT_K, user_metrics


def test_metrics_of_two_targets_by_hand():
    metrics = {name: value_U[0] for name, value_U in user_metrics(np.array([[1, 0, 4]]), ks=(3, 10)).items()}
    assert metrics["ndcg@10"] == pytest.approx((1 + 1 / np.log2(5)) / (1 + 1 / np.log2(3)))
    assert metrics["ndcg@3"] == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert (metrics["recall@3"], metrics["recall@10"], metrics["hit_rate@3"], metrics["mrr"]) == (0.5, 1.0, 1.0, 1.0)


def test_the_ideal_of_ndcg_has_no_more_targets_than_k():
    assert user_metrics(np.array([[1, 7, 9]]), ks=(1,))["ndcg@1"][0] == 1.0


def test_metrics_are_nan_for_users_without_targets():
    metrics = user_metrics(np.array([[0, 0], [3, 0]]), ks=(10,))
    assert all(np.isnan(value_U).tolist() == [True, False] for value_U in metrics.values())


def test_every_metric_of_the_table_is_reported_and_may_stop_training():
    names = [f"{name}@7" for name in METRICS_AT_K]
    assert [*names, "mrr"] == list(user_metrics(np.array([[1]]), ks=(7,)))
    assert all(re.match(METRIC_PATTERN, name) for name in names)
    assert not any(re.match(METRIC_PATTERN, name) for name in ("mrr", "ndcg", "ndcg@0", "accuracy@10"))
