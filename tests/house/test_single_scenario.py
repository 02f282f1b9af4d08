"""The benchmarks' single-scenario model: it is shown the events of its own scenario."""

from redrec.data.histories import TEST
from tests.benchmarks.quality.datasets import OfScenario
from tests.data.logs import histories_of


def test_a_single_scenario_model_is_shown_no_events_of_other_scenarios(tmp_path):
    events = [("a", "i0", "feed", 0), ("a", "i1", "ads", 1), ("a", "i2", "feed", 2), ("a", "i3", "feed", 3)]
    histories = histories_of(tmp_path, events, split="leave_last_out")

    shown = OfScenario(tmp_path / "data", histories.scenario_N[1])

    assert histories.known(0, 4, TEST).item_L.tolist() == [0, 1, 2]
    assert shown.known(0, 4, TEST).item_L.tolist() == [1]
