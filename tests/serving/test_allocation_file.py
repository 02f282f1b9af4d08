"""The allocation file as a server follows it; test_arms.py has it behind a server under load."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.experiments.allocation import Allocation
from serving.allocation_file import APPLIED, CHANGES, REFUSED, AllocationFile
from tests.experiments.logs import planned

HALF = Allocation(plan=planned(coverage=0.5))


@pytest.fixture
def file(tmp_path: Path) -> AllocationFile:
    path = tmp_path / "allocation.yaml"
    path.write_text(Allocation(plan=planned()).model_dump_json())
    return AllocationFile(path, lambda allocation: None)


def seen(file: AllocationFile, *contents: Allocation | str) -> tuple[Allocation, float, float]:
    """Return the allocation after some looks, and how many changes were applied and refused."""
    before = counted()
    for content in contents:
        file.look((content if isinstance(content, str) else content.model_dump_json()).encode())
    applied, refused = counted()
    return file.allocation, applied - before[0], refused - before[1]


def counted() -> tuple[float, float]:
    return CHANGES.labels(APPLIED)._value.get(), CHANGES.labels(REFUSED)._value.get()


def test_a_change_is_taken_when_it_reads_the_same_twice(file: AllocationFile):
    assert seen(file, HALF) == (Allocation(plan=planned()), 0, 0)
    assert seen(file, HALF) == (HALF, 1, 0)
    assert seen(file, HALF, HALF, HALF) == (HALF, 0, 0)


def test_a_file_that_is_written_in_steps_is_never_read_half(file: AllocationFile):
    """The first half is valid by itself: it would take the promotion back."""
    whole = Allocation(plan=planned(), serves={"ads": "treatment"})
    seen(file, whole, whole)
    assert seen(file, Allocation(plan=planned()), whole, whole) == (whole, 0, 0)


@pytest.mark.parametrize("content", ["", "plan: [", "- plan", "\x00", "plan: {}", "serves: {radio: control}"])
def test_what_is_no_allocation_is_refused_once_and_the_one_before_stays(file: AllocationFile, content: str):
    assert seen(file, content, content, content) == (Allocation(plan=planned()), 0, 1)
    assert seen(file, HALF, HALF) == (HALF, 1, 0)


def test_changed_weights_of_a_running_experiment_are_refused(file: AllocationFile):
    other = Allocation(plan=planned(alpha=0.01))
    assert seen(file, other, other) == (Allocation(plan=planned()), 0, 1)


def test_the_file_is_followed_while_it_changes_vanishes_and_returns(file: AllocationFile):
    async def session() -> None:
        following = asyncio.create_task(file.follow())
        await change(lambda: file.path.write_text(HALF.model_dump_json()), APPLIED)
        assert file.allocation == HALF
        await change(file.path.unlink, REFUSED)
        assert file.allocation == HALF
        await change(lambda: file.path.write_text(Allocation(plan=planned()).model_dump_json()), APPLIED)
        assert file.allocation == Allocation(plan=planned())
        following.cancel()

    asyncio.run(session())


async def change(call: Callable[[], object], outcome: str) -> None:
    before = CHANGES.labels(outcome)._value.get()
    call()
    async with asyncio.timeout(2):
        while CHANGES.labels(outcome)._value.get() == before:
            await asyncio.sleep(0.01)


def test_an_allocation_that_is_wrong_at_the_start_is_refused(tmp_path: Path):
    def refuse(allocation: Allocation) -> None:
        raise InputError("another bundle")

    path = tmp_path / "allocation.yaml"
    with pytest.raises(InputError, match="not a mapping"):
        AllocationFile(path, refuse)
    path.write_text(HALF.model_dump_json())
    with pytest.raises(InputError, match="another bundle"):
        AllocationFile(path, refuse)
