"""The allocation of a ConfigMap as a server follows it; tests/cluster has it in a pod."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.experiments.allocation import Allocation
from serving.allocation_map import AllocationMap
from tests.experiments.logs import planned
from tests.serving.config_map_api import NAME, ConfigMapApi, config_map_api

START, HALF = Allocation(plan=planned()), Allocation(plan=planned(coverage=0.5))
CHANGE_S = 2.0
ROUNDS_S = 2.5  # two looks


async def until_served(followed: AllocationMap, allocation: Allocation) -> None:
    began = time.monotonic()
    while followed.allocation != allocation:
        assert time.monotonic() - began < CHANGE_S
        await asyncio.sleep(0.02)


def test_a_map_is_followed_while_the_api_refuses_and_answers_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "serving")

    async def session(api: ConfigMapApi) -> None:
        followed = AllocationMap(NAME, lambda allocation: None)
        assert followed.allocation == START
        following = asyncio.create_task(followed.follow())
        api.refusal = 404
        await asyncio.sleep(ROUNDS_S)
        assert followed.allocation == START
        api.refusal = None
        api.write(HALF)
        await until_served(followed, HALF)
        following.cancel()

    with config_map_api(START, tmp_path, monkeypatch) as api:
        asyncio.run(session(api))
    said = [record.getMessage() for record in caplog.records if record.name.startswith("serving")]
    assert [line.split(":")[0] for line in said] == ["allocation"] * 3
    away, back, changed = said
    assert "stays as it is, since configmap:arms/shop cannot be read: The cluster refuses with 404" in away
    assert "read again" in back and "coverage 1, now 0.5" in changed


def test_while_the_api_is_down_the_allocation_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def session() -> None:
        with config_map_api(START, tmp_path, monkeypatch) as api:
            followed = AllocationMap(NAME, lambda allocation: None)
        following = asyncio.create_task(followed.follow())
        await asyncio.sleep(ROUNDS_S)
        assert (followed.allocation, followed.is_away) == (START, True)
        with config_map_api(HALF, tmp_path, monkeypatch, api.port):
            await until_served(followed, HALF)
        following.cancel()

    asyncio.run(session())


def test_a_map_that_is_absent_or_wrong_at_the_start_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(allocation: Allocation) -> None:
        raise InputError("another bundle")

    with config_map_api(START, tmp_path, monkeypatch) as api:
        with pytest.raises(InputError, match="another bundle"):
            AllocationMap(NAME, refuse)
        api.refusal = 404
        with pytest.raises(InputError, match="refuses with 404"):
            AllocationMap(NAME, lambda allocation: None)
