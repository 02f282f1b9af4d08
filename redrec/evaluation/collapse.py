"""Collapse: whether the interests of a user differ, and whether more than one of them retrieves targets.

The winner of a target is the interest that scores it best (the first of equal ones). The winner of a user is the
winner of the best-ranked target. The head is the interest that wins most users; the tail recall is the recall of the
targets that other interests won. Collapsed towers have a cosine near 1, one winner, and no tail.

Shapes: U users, T targets of a user, Q interests.
"""

import numpy as np

from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import Ranks
from redrec.intervals import bootstrap_means

K = 10

InterestReport = dict[str, object]


def interest_report(ranks: Ranks, num_interests: int, seed: int) -> InterestReport:
    """Return `cosine`, `users_won` (share per interest), `head_recall@10` and `tail_recall@10`, with intervals."""
    best_rank_UT = np.where(ranks.rank_UT > 0, ranks.rank_UT, np.iinfo(np.int64).max)
    winner_U = np.take_along_axis(ranks.winner_UT, best_rank_UT.argmin(1)[:, None], axis=1)[:, 0]
    num_won_Q = np.bincount(winner_U, minlength=num_interests)
    is_head_UT = ranks.winner_UT == num_won_Q.argmax()
    values = {
        "cosine": ranks.cosine_U,
        f"head_recall@{K}": user_metrics(np.where(is_head_UT, ranks.rank_UT, 0), (K,))[f"recall@{K}"],
        f"tail_recall@{K}": user_metrics(np.where(is_head_UT, 0, ranks.rank_UT), (K,))[f"recall@{K}"],
    }
    estimates = bootstrap_means(np.stack(list(values.values()), axis=1), seed)
    report: InterestReport = {name: estimate.model_dump() for name, estimate in zip(values, estimates, strict=True)}
    return report | {"users_won": (num_won_Q / max(1, len(winner_U))).tolist()}
