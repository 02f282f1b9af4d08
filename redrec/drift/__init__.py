"""Drift per scenario: the windows that are compared, the thresholds, and the verdict."""
