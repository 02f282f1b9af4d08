"""Quality: too many bad rows and an empty scenario are refused; the report has what was seen."""

import pytest

from redrec.config import InputError
from redrec.data.prepare import DataConfig
from tests.data.logs import GOOD, at, event, prepared


def test_a_configured_scenario_without_events_is_refused(tmp_path):
    with pytest.raises(InputError, match="scenario search is configured and has no events; seen: ads"):
        prepared(tmp_path, GOOD, DataConfig(scenarios=("ads", "search")))
    assert not (tmp_path / "data").exists()


def test_too_many_bad_rows_are_refused_with_an_example(tmp_path):
    with pytest.raises(InputError, match=r"4 of 16 rows are bad.*item_id is not in the item table.*item_id=nowhere"):
        prepared(tmp_path, GOOD + [event(item_id="nowhere", timestamp=at(d + 1)) for d in range(4)], DataConfig())
    assert [path.name for path in tmp_path.iterdir() if "data" in path.name] == []


def test_the_report_has_the_format_of_times_and_the_span_of_each_scenario(tmp_path):
    seconds = [round(at(day).timestamp()) for day in (3, 1, 2, 5, 4)]
    scenarios = ["ads", "ads", "ads", "feed", "feed"]
    events = [event(scenario=s, timestamp=t, item_id=f"i{t % 4}") for s, t in zip(scenarios, seconds, strict=True)]

    quality = prepared(tmp_path, events)

    assert quality.times.model_dump() == {"what": "numbers of seconds since 1970", "unit": "s"}
    assert {name: (s.first_ms, s.last_ms) for name, s in quality.scenarios.items()} == {
        "ads": (seconds[1] * 1000, seconds[0] * 1000),
        "feed": (seconds[4] * 1000, seconds[3] * 1000),
    }
