"""The allocation file as a server follows it; test_arms.py has it behind a server under load."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.experiments.allocation import Allocation
from serving.allocation_file import AllocationFile
from serving.followed_allocation import APPLIED, CHANGES, REFUSED
from tests.experiments.logs import planned

HALF = Allocation(plan=planned(coverage=0.5))


@pytest.fixture
def file(tmp_path: Path) -> AllocationFile:
    path = tmp_path / "allocation.yaml"
    path.write_text(Allocation(plan=planned()).model_dump_json())
    return AllocationFile(path, lambda allocation: None)


def seen(file: AllocationFile, *contents: Allocation) -> Allocation:
    """Return the allocation after some looks."""
    for content in contents:
        file.look(content.model_dump_json().encode())
    return file.allocation


def test_a_change_is_taken_when_it_reads_the_same_twice(file: AllocationFile):
    assert seen(file, HALF) == Allocation(plan=planned())
    assert seen(file, HALF) == HALF


def test_a_file_that_is_written_in_steps_is_never_read_half(file: AllocationFile):
    """The first half is valid by itself: it would take the promotion back."""
    whole = Allocation(plan=planned(), serves={"ads": "treatment"})
    seen(file, whole, whole)
    assert seen(file, Allocation(plan=planned()), whole, whole) == whole


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
