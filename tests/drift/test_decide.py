"""Decide: a change counts if it is significant and large; its words say what changed, how and by how much."""

import pytest

from redrec.drift.config import DriftConfig
from redrec.drift.decide import column_drift, drifted
from redrec.drift.measures import Measure
from redrec.drift.profile import Profile
from redrec.drift.significance import ColumnChange

PLAIN = Profile((10, 10), (0, 0), is_constant=False, share_far=0.0)


def change(what="shift", level="", before=0.5, after=0.6, p_adjusted=0.01) -> ColumnChange:
    return ColumnChange(Measure("x", what, level), before, after, abs(after - before), {}, p_adjusted, p_adjusted)


def decided(one: ColumnChange, profile: Profile = PLAIN, floor: float = 0.03, is_mixed: bool = False):
    return column_drift(one, profile, is_mixed, floor, DriftConfig())


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (change(), "drift"),
        (change(p_adjusted=0.06), "stable"),
        (change(after=0.52), "stable"),  # below its floor
        (change("nulls", before=0.0), "nulls"),
        (change("infinite"), "infinite"),
        (change("share", "new", before=0.0), "new_category"),
        (change("share", "old"), "drift"),
    ],
)
def test_a_change_counts_if_it_is_significant_and_reaches_its_floor(one, verdict):
    assert decided(one).verdict == verdict


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (change(), "higher than before in 60.0% of pairs"),
        (change(before=0.6, after=0.5), "lower than before in 60.0% of pairs"),
        (change("spread", before=0.5, after=0.4), "less spread, by 0.100 of 1"),
        (change("share", "music", 0.2, 0.3), "share of 'music' 20.0% -> 30.0%"),
        (change("nulls", before=0.0, after=0.1), "share of nulls 0.0% -> 10.0%"),
    ],
)
def test_words_say_what_changed(one, words):
    assert decided(one).what == words


def test_what_needs_no_test_has_no_p():
    empty = decided(change(), PLAIN._replace(num_values=(10, 0)))
    assert (empty.verdict, empty.test, empty.p, empty.what) == (
        "empty",
        "values",
        None,
        "no value in the current window",
    )
    assert decided(change(), PLAIN._replace(num_values=(0, 0))).verdict == "constant"
    assert decided(change(), is_mixed=True).verdict == "mixed"


def test_the_most_certain_change_is_named_first():
    columns = {
        "a": decided(change(p_adjusted=0.04)),
        "b": decided(change(p_adjusted=0.01)),
        "c": decided(change(after=0.5)),
    }
    assert [text.split(":")[0] for text in drifted(columns)] == ["b", "a"]
    assert drifted(columns)[0].endswith("(p 0.01)")
