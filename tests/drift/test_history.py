"""History: what is written is read again, a window has one line, and a repeated run changes no byte."""

from datetime import timedelta
from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.drift.history import MAX_WINDOWS, DriftHistory, StartedTraining, read_history, span_of, write_history
from redrec.drift.verdicts import Drift
from tests.drift.results import NOW, scenario, span, window
from tests.object_store import in_environment

TRAINING = StartedTraining(window=span(7), started_at=NOW, reason="retrain: ads category drifted in 2 of 3 windows")


def history_of(*windows: Drift) -> DriftHistory:
    history = DriftHistory()
    for one in windows:
        history = history.with_window(one)
    return history


def test_an_absent_history_is_empty(tmp_path: Path):
    assert read_history(f"{tmp_path}/absent.jsonl") == DriftHistory()


def test_what_is_written_is_read_again(tmp_path: Path):
    history = history_of(window(0, ads="drift"), window(7, ads="stable", search="missing")).with_training(TRAINING)
    write_history(f"{tmp_path}/history.jsonl", history)
    assert read_history(f"{tmp_path}/history.jsonl") == history
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 3


def test_a_history_may_be_an_object():
    with in_environment():
        history = history_of(window(0, ads="drift")).with_training(TRAINING)
        write_history("s3://redrec/drift/history.jsonl", history)
        assert read_history("s3://redrec/drift/history.jsonl") == history


def test_a_window_that_is_written_again_replaces_its_line(tmp_path: Path):
    file = tmp_path / "history.jsonl"
    history = history_of(window(0, ads="drift"), window(7, ads="drift")).with_training(TRAINING)
    write_history(str(file), history)
    before = file.read_bytes()
    later = TRAINING.model_copy(update={"started_at": NOW + timedelta(hours=1)})
    again = read_history(str(file)).with_window(window(7, ads="drift")).with_training(later)
    write_history(str(file), again)
    assert file.read_bytes() == before
    corrected = again.with_window(window(0, ads="stable"))
    assert [one.scenarios["ads"].verdict for one in corrected.windows] == ["stable", "drift"]


def test_windows_are_in_the_order_of_their_times_and_the_oldest_are_dropped():
    history = history_of(window(7, ads="drift"), window(0, ads="stable"))
    assert [span_of(one) for one in history.windows] == [span(0), span(7)]
    many = DriftHistory(windows=tuple(window(day, ads="stable") for day in range(MAX_WINDOWS)))
    kept = many.with_window(window(MAX_WINDOWS, ads="stable")).windows
    assert (len(kept), span_of(kept[0])) == (MAX_WINDOWS, span(1))


def test_a_result_without_windows_is_not_kept():
    assert history_of(Drift(windows=None, scenarios={"ads": scenario("insufficient")})).windows == ()


def test_what_was_known_before_a_window_has_neither_it_nor_later_ones():
    history = history_of(window(0, ads="drift"), window(7, ads="drift"), window(14, ads="drift"))
    known = history.with_training(TRAINING).before(span(7))
    assert ([span_of(one) for one in known.windows], known.trainings) == ([span(0)], ())
    assert history.with_training(TRAINING).before(span(14)).trainings == (TRAINING,)


def test_the_reference_stays_until_a_training():
    """A window that begins after the one that was trained on brings a new reference."""
    moved = window(14, ads="stable").model_copy(update={"windows": {"reference": span(7), "current": span(14)}})
    history = history_of(window(0, ads="drift"), window(7, ads="drift"))
    assert DriftHistory().reference() is None
    assert history.reference() == span(-7)
    assert history.with_training(TRAINING).reference() is None
    assert history.with_training(TRAINING).with_window(moved).reference() == span(7)


def test_a_line_that_is_none_of_a_history_is_named(tmp_path: Path):
    file = tmp_path / "history.jsonl"
    write_history(str(file), history_of(window(0, ads="drift")))
    file.write_text(file.read_text() + '{"verdict": "drift"}\n')
    with pytest.raises(InputError, match=r"history.jsonl, line 2 is none of a drift history"):
        read_history(str(file))
