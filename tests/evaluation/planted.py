"""Logs in which popularity or repeats are planted, or not, and a scorer that knows nothing."""

from pathlib import Path

import numpy as np

from redrec.data.histories import TEST, Histories
from redrec.data.prepare import DataConfig, prepare
from redrec.evaluation.cases import cases_of
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import Scorer
from tests.worlds import write_log

NUM_ITEMS, NUM_USERS, NUM_DAYS, DAY_MS = 200, 150, 100, 86_400_000
ALLOWED = np.full((1, NUM_ITEMS), True)


def log_of(folder: Path, is_planted: bool, since: int = 80) -> Path:
    """Users have an event every seventh day; with `is_planted`, half of them are of five new items from a day on."""
    rng, rows = np.random.default_rng(0), []
    for user in range(NUM_USERS):
        for day in range(user % 7, NUM_DAYS, 7):
            is_new = is_planted and day >= since and rng.random() < 0.5
            item = rng.integers(5) if is_new else rng.integers(5, NUM_ITEMS)
            rows.append((f"u{user}", f"i{item:03}", 10**12 + day * DAY_MS + user))
    tables = write_log(folder, rows, [f"i{n:03}" for n in range(NUM_ITEMS)])
    prepare(*tables, folder / "data", DataConfig(test_share=0.1, has_validation=True))
    return folder / "data"


def repeating_log(folder: Path, is_planted: bool) -> Path:
    """Users have four items each, and with `is_planted` come back to them alone."""
    rng, rows = np.random.default_rng(0), []
    for user in range(NUM_USERS):
        own = rng.choice(NUM_ITEMS, 4, replace=False)
        for day in range(user % 5, NUM_DAYS, 5):
            item = rng.choice(own) if is_planted else rng.integers(NUM_ITEMS)
            rows.append((f"u{user}", f"i{item:03}", 10**12 + day * DAY_MS + user))
    tables = write_log(folder, rows, [f"i{n:03}" for n in range(NUM_ITEMS)])
    prepare(*tables, folder / "data", DataConfig(test_share=0.1))
    return folder / "data"


def newcomers_log(folder: Path, is_planted: bool) -> Path:
    """Users have sixty items each and never one of them again; with `is_planted`, some items are far more popular."""
    rng, rows = np.random.default_rng(0), []
    weight_N = 1 / np.arange(1, NUM_ITEMS + 1) ** is_planted
    for user in range(NUM_USERS):
        for n, item in enumerate(rng.choice(NUM_ITEMS, 60, replace=False, p=weight_N / weight_N.sum())):
            rows.append((f"u{user}", f"i{item:03}", 10**12 + n * NUM_DAYS * DAY_MS // 60 + user))
    tables = write_log(folder, rows, [f"i{n:03}" for n in range(NUM_ITEMS)])
    prepare(*tables, folder / "data", DataConfig(test_share=0.1))
    return folder / "data"


def random_scorer() -> Scorer:
    """Return a scorer that knows nothing: random unit vectors."""
    rng = np.random.default_rng(1)
    embeddings_ND, interest_D = rng.normal(size=(NUM_ITEMS, 8)), rng.normal(size=8)
    embeddings_ND /= np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    return Scorer(lambda histories, scenario, moment_ms_B: np.tile(interest_D, (len(histories), 1, 1)), embeddings_ND)


def hit_rate(scorer: Scorer, histories: Histories) -> float:
    cases = cases_of(histories, 0, TEST, num_targets=3, max_users=1000, seed=0)
    return float(user_metrics(rank_cases(scorer, histories, cases, 0, ALLOWED[0]).rank_UT, (10,))["hit_rate@10"].mean())
