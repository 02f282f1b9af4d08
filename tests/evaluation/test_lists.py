"""Lists: what all lists hold, where it is known."""

import numpy as np

from redrec.data.histories import TEST
from redrec.evaluation.cases import cases_of
from redrec.evaluation.lists import list_report
from redrec.evaluation.scorers import Scorer
from tests.data.logs import histories_of

NUM_ITEMS, NUM_USERS = 40, 6
ALLOWED_N = np.arange(NUM_ITEMS) < 30
COUNT_N = (np.arange(NUM_ITEMS) % 2 == 0).astype(np.int64)  # odd items are new


def report_of(tmp_path, embeddings_ND):
    """Every user's interest is the axis of her number modulo the number of axes."""
    events = [(f"u{u}", f"i{u + n}", "ads", n) for u in range(NUM_USERS) for n in range(3)]
    histories = histories_of(tmp_path, events, split="leave_last_out", has_validation=False)
    cases = cases_of(histories, 0, TEST, num_targets=1, max_users=NUM_USERS, seed=0)
    axis_U = np.eye(embeddings_ND.shape[1])[np.arange(NUM_USERS) % embeddings_ND.shape[1]]
    scorer = Scorer(lambda known, s, moment_ms_B: axis_U[:, None], embeddings_ND)
    return list_report(scorer, histories, cases, 0, ALLOWED_N, COUNT_N, seed=0)


def test_one_list_for_all_holds_ten_items(tmp_path):
    """The ten items above all others are 10 .. 19, half of them new."""
    report = report_of(tmp_path, np.where((np.arange(NUM_ITEMS) // 10 == 1)[:, None], 1.0, -1.0))
    assert report["coverage@10"] == 10 / 30
    assert report["new_items@10"]["value"] == 0.5
    assert report["new_items@10"]["users"] == NUM_USERS


def test_lists_of_their_own_cover_more_and_no_item_that_may_not_be_shown(tmp_path):
    """Axis 0 likes items 0 .. 9, axis 1 items 30 .. 39, which may not be shown, so the ten lowest of the others."""
    likes_ND = np.stack([np.arange(NUM_ITEMS) // 10 == 0, np.arange(NUM_ITEMS) // 10 == 3], axis=1).astype(float)
    likes_ND[20:30, 1] = 0.5
    assert report_of(tmp_path, likes_ND)["coverage@10"] == 20 / 30
