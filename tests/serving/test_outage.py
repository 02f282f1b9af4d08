import logging
from collections.abc import Iterable
from itertools import count, repeat

import pytest

from serving.outage import PATIENCE_S, PAUSE_S, Outage
from serving.stages import StageError

STEP_S = 0.1  # between two requests


def outcomes(outage: Outage, errors: Iterable[Exception | None]) -> list[str]:
    """Call a service that ends each request so; return what became of each: an answer, or the reason and whether it was called."""
    seen = []
    for error in errors:
        way = "spared"
        try:
            with outage.call(ConnectionError, "unavailable"):
                way = "called"
                if error is not None:
                    raise error
            seen.append("answer")
        except StageError as stage:
            seen.append(f"{stage}, {way}")
    return seen


def test_an_outage_is_logged_at_its_begin_and_its_end(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    outage = Outage("index")
    outage.answered()
    for _ in range(3):
        outage.failed(ConnectionError("refused"))
    outage.answered()
    outage.answered()
    outage.failed(ConnectionError("refused again"))
    assert [record.message for record in caplog.records] == [
        "index: refused",
        "index: it answers again; 3 requests had to do without",
        "index: refused again",
    ]


@pytest.mark.parametrize(("error", "reason"), [(ConnectionError(), "unavailable"), (StageError("timeout"), "timeout")])
def test_a_service_that_only_fails_is_called_once_per_pause_until_it_answers(error: Exception, reason: str):
    ticks = count()
    outage = Outage(
        "index", lambda: next(ticks) * STEP_S
    )  # the clock is read once per request, and at the first failure
    seen = outcomes(outage, repeat(error, 40))
    num_before = seen.index("unavailable, spared")
    assert set(seen[:num_before]) == {f"{reason}, called"} and num_before * STEP_S == pytest.approx(
        PATIENCE_S, abs=0.15
    )
    later = seen[num_before:]
    assert later.count(f"{reason}, called") == pytest.approx(len(later) * STEP_S / PAUSE_S, abs=1)
    assert outcomes(outage, repeat(None, 20))[-1] == "answer"
    assert outcomes(outage, [None, error, None, error, None]) == ["answer", f"{reason}, called"] * 2 + ["answer"]


def test_failures_of_one_moment_spare_nobody():
    outage = Outage("index", lambda: 0.0)
    assert set(outcomes(outage, repeat(ConnectionError(), 100))) == {"unavailable, called"}


def test_a_stages_own_error_keeps_its_cause():
    stage, cause = StageError("timeout"), TimeoutError()
    with pytest.raises(StageError) as seen, Outage("index").call(ConnectionError, "unavailable"):
        raise stage from cause
    assert seen.value is stage and stage.__cause__ is cause
