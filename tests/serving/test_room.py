"""Room for requests and their bytes; test_guard.py and test_grpc_server.py have it in front of KServe."""

import asyncio

import pytest

from serving import room
from serving.refusals import RefusedRequest
from serving.room import Room, in_time


def test_a_request_beyond_the_room_is_refused_and_leaves_nothing_behind():
    one = Room(max_requests=1, max_bytes=10)
    with one.request() as held:
        held.add(10)
        with pytest.raises(RefusedRequest, match="answers 1 requests of 10 bytes at once"), one.request():
            pass
        with pytest.raises(RefusedRequest):
            held.add(1)
    assert (one.num_requests, one.num_bytes) == (0, 0)


def test_reading_has_a_time_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "MAX_READ_SECONDS", 0.01)

    async def read() -> None:
        async with in_time():
            await asyncio.sleep(60)

    with pytest.raises(RefusedRequest, match="did not come within") as refused:
        asyncio.run(read())
    assert refused.value.status == 408
