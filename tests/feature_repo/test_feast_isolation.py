"""Isolation: Feast's side effects end with the context."""

import os
import warnings

import pytest

from feature_repo.feast_isolation import isolated


def test_filters_and_variables_are_restored(monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "before")
    monkeypatch.delenv("PROMETHEUS_MULTIPROCESS_DIR", raising=False)
    filters = list(warnings.filters)
    with isolated():
        warnings.simplefilter("ignore")
        os.environ.update(PROMETHEUS_MULTIPROC_DIR="inside", PROMETHEUS_MULTIPROCESS_DIR="inside")
    assert warnings.filters == filters
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == "before"
    assert "PROMETHEUS_MULTIPROCESS_DIR" not in os.environ


def test_they_are_restored_after_an_error(monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    with pytest.raises(OSError), isolated():
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = "inside"
        raise OSError
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ
