"""Verdicts: what is written about the drift of a scenario and of its columns, and what follows from it.

A scenario's verdict is one of these, the first that holds:

- `missing`: the current window has none of its users;
- `volume`: it has far fewer or far more users or events than the reference;
- `insufficient`: the windows cannot be compared, or have too few users for it;
- `drift`: a column, or what its users are interested in, has changed;
- `stable`.
"""

from typing import Literal

from pydantic import Field

from redrec.config import Record

DriftVerdict = Literal["stable", "drift", "missing", "volume", "insufficient"]
Action = Literal["none", "watch", "retrain", "check_data", "wait"]
ColumnVerdict = Literal[
    "stable",
    "drift",  # its values have changed
    "nulls",  # more or fewer of its values are null
    "infinite",  # or infinite
    "empty",  # it has no value in a window
    "new_category",
    "range",  # values far outside the reference's
    "mixed",  # numbers in one window, texts in the other
    "constant",  # one value in both windows
]
DRIFTED: tuple[ColumnVerdict, ...] = ("drift", "nulls", "infinite", "empty", "new_category", "range", "mixed")
Window = Literal["reference", "current"]
INTERESTS = "interests"


class ColumnDrift(Record):
    """A column's change; `p` is of the column alone, `p_adjusted` for all columns of all scenarios.

    `effect` is in 0..1 (`redrec.drift.measures`), or the distance of `redrec.drift.interests`; it must reach `floor`.
    What no test is needed for, such as a column without values, has neither.
    """

    test: Literal["permutation", "mmd", "values"]
    p: float | None = None
    p_adjusted: float | None = None
    effect: float | None = None
    floor: float | None = None
    verdict: ColumnVerdict
    what: str  # in words


class ScenarioDrift(Record):
    verdict: DriftVerdict
    action: Action
    reason: str  # of the verdict
    action_reason: str = ""  # of the action, `redrec.drift.actions`
    users: dict[Window, int]
    events: dict[Window, int]
    columns: dict[str, ColumnDrift]
    interests: ColumnDrift | None = None  # None: no vectors of items are given

    @property
    def all_columns(self) -> dict[str, ColumnDrift]:
        """The columns, and the interests as the last one."""
        return self.columns if self.interests is None else {**self.columns, INTERESTS: self.interests}


class Drift(Record):
    """The content of drift.json; the windows are ISO times, the end excluded, and None if they cannot be compared."""

    windows: dict[Window, tuple[str, str]] | None
    left_out: dict[Window, int] = Field(default_factory=dict)  # rows without a user, a scenario or a time
    scenarios: dict[str, ScenarioDrift]

    @property
    def verdicts(self) -> dict[str, DriftVerdict]:
        return {name: scenario.verdict for name, scenario in self.scenarios.items()}
