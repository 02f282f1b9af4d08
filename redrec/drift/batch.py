"""Batch: many comparisons, each the tables of one folder."""

from pathlib import Path

from redrec.batch import matches_in, named_in
from redrec.config import load_config
from redrec.drift.calibration import NOT_CALIBRATED, Calibration
from redrec.drift.logs import Sources

CONTENTS = "reference.*, current.* and items.*"


def read_folder(folder: Path) -> tuple[Sources, Calibration]:
    """Return the tables of a folder, and the floors if it has them.

    Raises:
        InputError: A table is absent or there are two, or the calibration is none.
    """
    reference, current, items = (named_in(folder, stem) for stem in ("reference", "current", "items"))
    vectors = named_in(folder, "vectors") if matches_in(folder, "vectors") else None
    sources = Sources(reference, current, items, vectors)
    if not matches_in(folder, "calibration"):
        return sources, NOT_CALIBRATED
    return sources, load_config(Calibration, named_in(folder, "calibration"))
