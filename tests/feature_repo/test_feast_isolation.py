"""Isolation: Feast's side effects end with the context."""

import os
import sys
import warnings

import pytest
import typeguard

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


def test_feast_is_imported_without_torch_and_type_checks_and_both_are_back_at_the_end(monkeypatch):
    monkeypatch.delitem(sys.modules, "feast", raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    checked = typeguard.typechecked
    with isolated():
        assert typeguard.typechecked(len) is len
        with pytest.raises(ModuleNotFoundError):
            import torch  # noqa: F401
    assert typeguard.typechecked is checked
    assert "torch" not in sys.modules
