"""Split: the scenarios and actions of a data folder, and the rule that splits its events; its `split.json`.

`redrec.data.histories` describes the splits.
"""

from pathlib import Path
from typing import Literal

from redrec.config import InputError, Record, load_config
from redrec.folders import DataFolder, write_json
from redrec.history import Vocabulary

SplitPolicy = Literal["global_time", "leave_last_out", "leave_last_out_per_scenario"]


class SplitRule(Record):
    """What decides the split of an event; without a validation split the two times are equal."""

    scenarios: tuple[str, ...]
    actions: tuple[str, ...]
    policy: SplitPolicy
    has_validation: bool
    validation_start_ms: int
    test_start_ms: int

    def write(self, data: Path) -> None:
        write_json(DataFolder(data).split, self.model_dump())


def read_split(data: Path) -> SplitRule:
    """Return the rule that splits the events of a data folder.

    Raises:
        InputError: The folder does not exist, was not prepared, or was prepared by another version.
    """
    path = DataFolder(data).split
    if not path.is_file():
        raise InputError(
            f"{data} is no data folder: it has no {path.name}. Give the folder that the prepare step wrote."
        )
    return load_config(SplitRule, path)


def read_vocabulary(data: Path) -> Vocabulary:
    """Return the scenarios and actions of a data folder, in their fixed order."""
    split = read_split(data)
    return Vocabulary(scenarios=split.scenarios, actions=split.actions)
