import pytest

from redrec.config import InputError
from redrec.history import Vocabulary
from serving.requests import parse_instances, read_v1

VOCABULARY = Vocabulary(scenarios=("homefeed", "ads"), actions=("click",))
EVENT = {"item_id": "i1", "action": "click", "scenario": "ads", "timestamp_ms": 1_700_000_000_000}
INSTANCE = {"user_id": "u1", "scenario": "ads"}


def test_an_instance_with_two_fields_is_enough():
    (query,) = parse_instances([INSTANCE], VOCABULARY)
    assert (query.user_id, query.scenario, query.k, query.history, query.exclude_seen) == ("u1", "ads", 10, None, None)


@pytest.mark.parametrize(
    ("instance", "allowed"),
    [
        (
            {**INSTANCE, "scenario": "radio"},
            r"instances\[0\]: unknown scenario \(allowed: homefeed, ads\); seen: 'radio'",
        ),
        ({**INSTANCE, "scenario": None}, "scenario: Input should be a valid string"),
        ({"scenario": "ads"}, "user_id: missing"),
        ({**INSTANCE, "user_id": 7}, "user_id: Input should be a valid string"),
        ({**INSTANCE, "user_id": "Jürgen Ö"}, "user_id has blanks or control characters; seen: 'Jürgen Ö'"),
        ({**INSTANCE, "user_id": ""}, "user_id is missing"),
        ({**INSTANCE, "user_id": "a\nb"}, "control characters"),
        ({**INSTANCE, "user_id": "u" * 129}, "longer than 128"),
        ({**INSTANCE, "k": 0}, "k: Input should be greater than or equal to 1"),
        ({**INSTANCE, "k": 1001}, "k: Input should be less than or equal to 1000"),
        ({**INSTANCE, "k": "5"}, "k: Input should be a valid integer"),
        ({**INSTANCE, "k": True}, "k: Input should be a valid integer"),
        ({**INSTANCE, "kk": 5}, "kk: unknown key, did you mean k. Allowed keys: user_id, scenario, k"),
        ({**INSTANCE, "exclude_seen": "yes"}, "exclude_seen: Input should be a valid boolean"),
        ({**INSTANCE, "category": ""}, "category: String should have at least 1 character"),
        ({**INSTANCE, "category": "x" * 1025}, "category: String should have at most 1024 characters"),
        ({**INSTANCE, "history": {}}, "history: Input should be a valid list"),
        ({**INSTANCE, "history": [EVENT] * 2001}, "at most 2000 items"),
        (
            {**INSTANCE, "history": [{**EVENT, "action": "stare"}]},
            r"history\[0\]: unknown action \(allowed: click\); seen: 'stare'",
        ),
        ({**INSTANCE, "history": [{**EVENT, "scenario": "radio"}]}, r"history\[0\]: unknown scenario .*seen: 'radio'"),
        (
            {**INSTANCE, "history": [{**EVENT, "timestamp_ms": -1}]},
            r"history.0.timestamp_ms: .*timestamp is before 1970; seen: -1",
        ),
        ({**INSTANCE, "history": [{**EVENT, "timestamp_ms": 2**60}]}, "timestamp is in the future"),
        ({**INSTANCE, "history": [{**EVENT, "timestamp_ms": 1.5}]}, "valid integer"),
        ({**INSTANCE, "history": [{**EVENT, "item_id": "caf\ud800"}]}, "control characters"),
        (7, r"instances\[0\] is int; allowed is an object"),
    ],
)
def test_a_malformed_instance_is_refused_with_what_is_allowed(instance, allowed: str):
    with pytest.raises(InputError, match=allowed):
        parse_instances([instance], VOCABULARY)


@pytest.mark.parametrize("instances", [[], [INSTANCE] * 65, None, "ads", {}])
def test_one_to_64_instances_are_allowed(instances):
    with pytest.raises(InputError, match="1 to 64"):
        parse_instances(instances, VOCABULARY)


def test_a_v1_body_without_a_content_type_is_read_as_json():
    assert read_v1(b'{"instances": [{"user_id": "u1"}]}') == [{"user_id": "u1"}]


@pytest.mark.parametrize(
    "body", [[], b"raw", b"\xff", b"[]", b"[" * 100_000, b'"\\ud800"', {}, {"instances": [], "k": 3}]
)
def test_a_v1_body_holds_instances_alone(body):
    with pytest.raises(InputError, match=r'\{"instances": '):
        read_v1(body)


def test_the_histories_of_a_request_are_bounded_together():
    instances = [{**INSTANCE, "history": [EVENT] * 1700}] * 3
    assert len(parse_instances(instances[:2], VOCABULARY)) == 2
    with pytest.raises(InputError, match=r"at most 5,000 events in all; seen: 5,100\. Ask for fewer users"):
        parse_instances(instances, VOCABULARY)
