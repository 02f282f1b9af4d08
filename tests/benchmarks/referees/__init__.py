"""Referees: other libraries' recommenders, each in an environment of its own, on the same events as ours."""
