"""Events by POST: bodies; test_app.py has the route behind its server."""

import json

import pytest

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from serving.bodies import MAX_EVENTS
from serving.events import EventsRoute, read_events

EVENT = {"user_id": "u1", "item_id": "i1", "scenario": "ads", "action": "click", "timestamp_ms": 5}


def test_a_list_of_events_is_read():
    (event,) = read_events(json.dumps([EVENT]).encode())
    assert event.model_dump() == EVENT


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{", "Invalid JSON"),
        ({"events": [EVENT]}, "body: Input should be a valid array"),
        ([], "at least 1 item"),
        ([EVENT] * (MAX_EVENTS + 1), "at most 10000 items"),
        ([EVENT, {"user_id": "u1"}], "1.item_id: Field required"),
        ([EVENT | {"timestamp_ms": "5"}], "0.timestamp_ms: Input should be a valid integer"),
        ([EVENT | {"dwell": 1}], "0.dwell: Extra inputs are not permitted"),
        ([7] * 9, "4: Input should be"),
    ],
)
def test_another_body_is_refused_with_its_first_faults(body: object, fault: str):
    with pytest.raises(InputError, match=fault) as refused:
        read_events(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert len(str(refused.value)) < 1000


def test_a_token_without_a_feature_folder_is_refused(bundle: Bundle):
    with pytest.raises(InputError, match="REDREC_PUSH_TOKEN is set, but the server has no feature folder"):
        EventsRoute(None, lambda: bundle, "0123456789abcdef")
