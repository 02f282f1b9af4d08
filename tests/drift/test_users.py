"""Users: all are counted, a sample of them is compared, and each has few of its vectors compared."""

import numpy as np
import pytest

from redrec.drift.config import DriftConfig
from redrec.drift.drift import opened
from redrec.drift.logs import VECTOR
from redrec.drift.users import choose_users, scenario_events
from tests.drift.tables import NUM_USERS, log, write

NUM = 8 * NUM_USERS


@pytest.fixture
def windows(tmp_path):
    rng = np.random.default_rng(0)
    columns = [{"score": rng.random(NUM), "action": rng.choice(["click", "like"], NUM)} for _ in range(2)]
    sources = write(tmp_path, log(0, columns[0]), log(1, columns[1], num_users=100), rng.random((5, 3)))
    with opened(sources) as both:
        yield both


def test_users_and_events_are_counted_in_each_window(windows):
    chosen = choose_users(windows.logs, DriftConfig(), windows.scratch)
    assert chosen.num_users == {"ads": {"reference": NUM_USERS, "current": 100}}
    assert chosen.num_events == {"ads": {"reference": NUM, "current": NUM}}


def test_at_most_so_many_users_are_compared_and_they_are_the_same_again(windows):
    samples = []
    for _ in range(2):
        chosen = choose_users(windows.logs, DriftConfig(max_users=40), windows.scratch)
        samples.append(sorted(chosen.users["user_id"].to_pyarrow().to_pylist()))
        assert chosen.num_users["ads"]["reference"] == NUM_USERS
    assert len(samples[0]) == 40 and samples[0] == samples[1]


def test_sums_are_those_of_the_events(windows):
    chosen = choose_users(windows.logs, DriftConfig(), windows.scratch)
    own = scenario_events(windows.logs, chosen, "ads", windows.scratch)
    sums = own.sums()
    assert sums.num_events.sum() == 2 * NUM
    likes = sums.total["action"][:, [one.level for one in sums.columns["action"].measures].index("like")].sum()
    assert likes == (own.events["action"] == "like").sum().to_pyarrow().as_py()
    assert abs(sums.total["score"][:, 0].sum() / (2 * NUM) - 0.5) < 0.02  # the mean rank


def test_each_user_has_at_most_so_many_vectors(windows):
    chosen = choose_users(windows.logs, DriftConfig(), windows.scratch)
    own = scenario_events(windows.logs, chosen, "ads", windows.scratch)
    sums = own.vector_sums(VECTOR, DriftConfig(events_per_user=3))
    assert sums is not None and sums.num_events.max() == 3
    without = scenario_events(windows.logs._replace(vectors=None), chosen, "ads", windows.scratch)
    assert VECTOR not in without.events.columns
