"""Repeats: a scenario whose users hardly ever come back to an item is known from its training events."""

import pytest

from redrec.data import histories as histories_module
from redrec.data.repeats import rarely_repeats
from tests.data.logs import histories_of

NUM_USERS = 60


def log_of(num_repeated: int) -> list[tuple[str, str, str, float]]:
    """Users have four items in feed; in ads five others, but the first users have one of feed's there instead.

    The last event, for the test, is everybody's first item again.
    """
    events = []
    for user in range(NUM_USERS):
        items = [0, 1, 2, 3, 4, 5, 6, 7, 3 if user < num_repeated else 8, 0]
        scenarios = ["feed"] * 4 + ["ads"] * 6
        events += [(f"u{user}", f"i{i}", s, n) for n, (i, s) in enumerate(zip(items, scenarios, strict=True))]
    return events


@pytest.mark.parametrize(("num_repeated", "is_rare"), [(0, True), (2, True), (3, False), (NUM_USERS, False)])
def test_fewer_than_one_in_a_hundred_is_rare(tmp_path, num_repeated, is_rare):
    """Of 300 training events of ads, three are one in a hundred; feed has none. The test's repeats do not count."""
    histories = histories_of(tmp_path, log_of(num_repeated), split="leave_last_out")
    assert rarely_repeats(histories, 2).tolist() == [is_rare, True]


def test_a_scan_in_blocks_says_the_same(tmp_path, monkeypatch):
    histories = histories_of(tmp_path, log_of(3), split="leave_last_out")
    for events_per_block in (1, 7, 95, 10_000):
        monkeypatch.setattr(histories_module, "EVENTS_PER_BLOCK", events_per_block)
        assert rarely_repeats(histories, 2).tolist() == [False, True]


def test_without_an_event_after_another_nothing_is_known(tmp_path):
    events = [("a", "i1", "feed", 0), ("b", "i1", "feed", 1), ("b", "i2", "ads", 2)]
    histories = histories_of(tmp_path, events, split="leave_last_out")
    assert rarely_repeats(histories, 2).tolist() == [False, False]
