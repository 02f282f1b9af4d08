"""What may follow the allocation that is served, and what is refused once."""

import pytest

from redrec.experiments.allocation import Allocation
from serving.followed_allocation import APPLIED, CHANGES, REFUSED, FollowedAllocation
from tests.experiments.logs import planned

START, HALF = Allocation(plan=planned()), Allocation(plan=planned(coverage=0.5))


@pytest.fixture
def followed() -> FollowedAllocation:
    return FollowedAllocation("a test", START.model_dump_json().encode(), lambda allocation: None)


def seen(followed: FollowedAllocation, *contents: Allocation | str) -> tuple[Allocation, float, float]:
    """Return the allocation after some looks, and how many changes were applied and refused."""
    before = counted()
    for content in contents:
        followed.look((content if isinstance(content, str) else content.model_dump_json()).encode())
    applied, refused = counted()
    return followed.allocation, applied - before[0], refused - before[1]


def counted() -> tuple[float, float]:
    return CHANGES.labels(APPLIED)._value.get(), CHANGES.labels(REFUSED)._value.get()


def test_new_content_is_taken_once(followed: FollowedAllocation):
    assert seen(followed, START) == (START, 0, 0)
    assert seen(followed, HALF, HALF) == (HALF, 1, 0)


@pytest.mark.parametrize("content", ["", "plan: [", "- plan", "\x00", "plan: {}", "serves: {radio: control}"])
def test_what_is_no_allocation_is_refused_once_and_the_one_before_stays(followed: FollowedAllocation, content: str):
    assert seen(followed, content, content) == (START, 0, 1)
    assert seen(followed, HALF) == (HALF, 1, 0)


def test_changed_weights_of_a_running_experiment_are_refused(followed: FollowedAllocation):
    other = Allocation(plan=planned(alpha=0.01))
    assert seen(followed, other, other) == (START, 0, 1)
