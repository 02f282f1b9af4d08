"""Evaluation: ranks over the full catalogue, metrics per user, intervals, baselines."""
