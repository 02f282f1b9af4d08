"""Items come and go in a running pod: `redrec items` and `redrec activate` on the claim that it serves from."""

import time

import pytest

from redrec.bundle.reader import Bundle
from redrec.folders import RunFolder
from serving.client import query
from tests.cluster.conftest import Service
from tests.cluster.tools import redrec

pytestmark = pytest.mark.cluster

USER, WITHIN_S = "u00000000", 60


def answer_of(service: Service, bundle_id: str, scenario: str) -> list[str]:
    """Query without a pause until the pod answers from this bundle; no request may fail before."""
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        answer = query(service.url, USER, scenario, 10)
        if answer["bundle_id"] == bundle_id:
            return [item["item_id"] for item in answer["items"]]
    raise AssertionError(f"{bundle_id} is not served within {WITHIN_S} s")


def test_a_withdrawn_item_goes_and_comes_back_without_a_restart(service: Service, claim: RunFolder, bundle: Bundle):
    first, scenario = bundle.manifest.id, bundle.manifest.scenarios[0]
    item = answer_of(service, first, scenario)[0]
    try:
        second = redrec("items", claim, "--withdraw", item)["bundle"]
        assert item not in answer_of(service, str(second), scenario)
    finally:
        redrec("activate", claim, "--bundle", first)
    assert item in answer_of(service, first, scenario)
