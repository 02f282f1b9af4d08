"""Deliver: what is sent arrives, and a receiver that refuses or is away is named with what to do."""

import socket

import pytest

from redrec.config import InputError
from redrec.drift import deliver
from redrec.drift.deliver import DeliveryError, check_address, post
from tests.drift.results import receiver


def test_what_is_posted_arrives():
    with receiver() as (address, received):
        post(f"{address}/hook", b"[1]")
    assert received == [("POST", "/hook", b"[1]", "application/json")]


def test_a_refusal_says_the_receivers_words():
    with receiver(400, b"bad label") as (address, _), pytest.raises(DeliveryError, match="answers 400: bad label"):
        post(address, b"[]")
    with receiver(503) as (address, _), pytest.raises(DeliveryError, match="answers 503: Service Unavailable"):
        post(address, b"[]")


def test_a_receiver_that_is_away_or_hangs_is_named(monkeypatch: pytest.MonkeyPatch):
    with receiver() as (address, _):
        pass
    with pytest.raises(
        DeliveryError, match=rf"{address} did not take it within 10 s: .*refused.*Look whether it is up"
    ):
        post(address, b"[]")
    monkeypatch.setattr(deliver, "TIMEOUT_S", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(DeliveryError, match="within 0.1 s: timed out"),
    ):
        post(f"http://127.0.0.1:{silent.getsockname()[1]}", b"[]")


@pytest.mark.parametrize("address", ["file:///etc/passwd", "localhost:9093", "http://", "ftp://host/x"])
def test_an_address_that_is_none_of_http_is_refused(address: str):
    with pytest.raises(InputError, match="webhook .* is no address. Give one like http://"):
        check_address("webhook", address)


def test_addresses_of_http_are_taken():
    for address in ("http://alertmanager:9093/api/v2/alerts", "https://host/x"):
        check_address("webhook", address)
