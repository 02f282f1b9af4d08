import logging

import pytest

from serving.outage import Outage


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
