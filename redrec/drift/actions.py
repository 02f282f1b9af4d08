"""Actions: what follows from a window's verdicts and from those of the windows before it.

| verdict                                      | action                                                             |
|----------------------------------------------|--------------------------------------------------------------------|
| stable                                       | none                                                               |
| insufficient                                 | wait                                                               |
| missing, volume, or drift by broken values   | check_data: a training on broken data would be no remedy            |
| drift in fewer of the newest windows         | watch                                                              |
| drift in 2 of the 3 newest windows           | retrain; wait in the cool-down, or if any scenario's data is broken |

- The newest windows of a daily run overlap, and one unusual day would drift in seven of them. So windows count that
  follow each other (`redrec.drift.history.follows`), the newest first.
- A window counts once: those that a training has had are answered.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, NamedTuple

from redrec.drift.config import DriftConfig
from redrec.drift.history import DriftHistory, follows, moment, span_of
from redrec.drift.verdicts import DRIFTED, Action, ColumnVerdict, Drift, ScenarioDrift

BROKEN: tuple[ColumnVerdict, ...] = ("nulls", "infinite", "empty", "mixed", "range")
MAX_NAME = 120  # of a run, in characters; Kubeflow Pipelines holds 255 bytes

NextStep = Literal["train", "drift", "stable"]


class Decided(NamedTuple):
    action: Action
    reason: str


def with_actions(drift: Drift, history: DriftHistory, config: DriftConfig) -> Drift:
    """Return the result with an action and its reason in each scenario; `history` may know this window, too."""
    decided = {name: _decided(name, drift, history, config) for name in drift.scenarios}
    checked = [name for name, one in decided.items() if one.action == "check_data"]
    scenarios = {}
    for name, scenario in drift.scenarios.items():
        action, reason = decided[name]
        if action == "retrain" and checked:
            action, reason = "wait", f"{reason}, but not before the data of {' and '.join(checked)} is checked"
        scenarios[name] = scenario.model_copy(update={"action": action, "action_reason": reason})
    return drift.model_copy(update={"scenarios": scenarios})


def next_step(drift: Drift, retrain: bool) -> NextStep:
    """Return what the pipeline does: `train` if a scenario's action is to retrain, and `retrain` is true."""
    actions = {scenario.action for scenario in drift.scenarios.values()}
    if retrain and "retrain" in actions:
        return "train"
    is_stable = all(scenario.verdict in ("stable", "insufficient") for scenario in drift.scenarios.values())
    return "stable" if is_stable else "drift"


def run_name(drift: Drift) -> str:
    """Return the name of the run that trains, which holds the reason.

    It is "retrain: ads category drifted in 2 of 3 windows, to 2026-01-19".
    """
    reasons = [one.action_reason for one in drift.scenarios.values() if one.action == "retrain"]
    name, end = f"retrain: {'; '.join(reasons)}", f", to {moment(span_of(drift)[1]):%Y-%m-%d}"
    longest = MAX_NAME - len(end)
    return (name if len(name) <= longest else f"{name[: longest - 1]}…") + end


def drifted_columns(scenario: ScenarioDrift) -> list[str]:
    """Return what has changed by name, the interests last."""
    return [name for name, column in scenario.all_columns.items() if column.verdict in DRIFTED]


def _decided(name: str, drift: Drift, history: DriftHistory, config: DriftConfig) -> Decided:
    scenario = drift.scenarios[name]
    if scenario.verdict == "stable":
        return Decided("none", "nothing has changed")
    if scenario.verdict == "insufficient":
        return Decided("wait", "it cannot be decided yet")
    if scenario.verdict != "drift":
        return Decided("check_data", "look whether events are lost or counted twice")
    broken = _broken_columns(scenario)
    if broken:
        return Decided("check_data", f"look at the values of {_joined(broken)}")
    return _of_drift(name, drift, history, config)


def _of_drift(name: str, drift: Drift, history: DriftHistory, config: DriftConfig) -> Decided:
    earlier = _counted(drift, history, config.of_windows - 1)
    num_drifted = 1 + sum(name in one.scenarios and _is_counted(one.scenarios[name]) for one in earlier)
    columns = _joined(drifted_columns(drift.scenarios[name]))
    seen = f"{name} {columns} drifted in {num_drifted} of {config.of_windows} windows"
    if num_drifted < config.retrain_windows:
        return Decided("watch", f"{seen}, and a training needs {config.retrain_windows}")
    rest = _cool_down(drift, history, config)
    return Decided("wait", f"{seen}, but {rest}") if rest else Decided("retrain", seen)


def _counted(drift: Drift, history: DriftHistory, num: int) -> list[Drift]:
    """Return the newest earlier windows that overlap neither each other nor this one, since the last training."""
    if drift.windows is None:
        return []
    known = history.before(span_of(drift))
    counted = [drift]
    for one in reversed(known.windows):
        if known.is_open(one) and follows(span_of(counted[-1]), span_of(one)):
            counted.append(one)
    return counted[1 : num + 1]


def _is_counted(scenario: ScenarioDrift) -> bool:
    return scenario.verdict == "drift" and not _broken_columns(scenario)


def _broken_columns(scenario: ScenarioDrift) -> list[str]:
    return [name for name, column in scenario.columns.items() if column.verdict in BROKEN]


def _cool_down(drift: Drift, history: DriftHistory, config: DriftConfig) -> str | None:
    """Return in words until when no training starts; None if one may."""
    if drift.windows is None:
        return None
    span = span_of(drift)
    until = max((moment(one.window[1]) for one in history.before(span).trainings), default=None)
    if until is None or moment(span[1]) - until >= timedelta(days=config.cool_down_days):
        return None
    return f"a training began after the window to {until:%Y-%m-%d}, and the next waits {config.cool_down_days} days"


def _joined(names: Sequence[str]) -> str:
    """Return the names as in a sentence.

    >>> _joined(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
