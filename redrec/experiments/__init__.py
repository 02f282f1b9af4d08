"""Experiments: assignment by hash, a generated experiment log, and the gate that decides per scenario."""
