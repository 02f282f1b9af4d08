"""Decide: a column's verdict from its change, its profile and its floor; a scenario's from those of its columns."""

from collections.abc import Mapping
from typing import Literal

from redrec.drift.config import DriftConfig
from redrec.drift.profile import FAR, Profile
from redrec.drift.significance import ColumnChange
from redrec.drift.verdicts import DRIFTED, ColumnDrift, ColumnVerdict

UNTESTED: tuple[ColumnVerdict, ...] = ("empty", "mixed", "range", "constant")


def column_drift(
    change: ColumnChange, profile: Profile | None, is_mixed: bool, floor: float, config: DriftConfig
) -> ColumnDrift:
    """Return the verdict; `profile` is None of a column that is made of all events."""
    test: Literal["mmd", "permutation"] = "mmd" if change.measure.what == "distance" else "permutation"
    fact = _fact(profile, is_mixed) if profile else None
    tested = {"p": change.p, "p_adjusted": change.p_adjusted, "effect": change.effect, "floor": floor}
    if fact and fact[0] in ("empty", "constant"):
        return ColumnDrift(test="values", verdict=fact[0], what=fact[1])
    if fact:
        return ColumnDrift(test="values", verdict=fact[0], what=fact[1], **tested)
    is_drifted = change.p_adjusted <= config.alpha and change.effect >= floor
    return ColumnDrift(test=test, verdict=_kind(change) if is_drifted else "stable", what=_words(change), **tested)


def _fact(profile: Profile, is_mixed: bool) -> tuple[ColumnVerdict, str] | None:
    before, after = profile.num_values
    infinite_before, infinite_after = profile.num_infinite
    if is_mixed:
        return "mixed", "numbers in one window, in part texts in the other"
    if before == 0 or after == 0:
        where = "either window" if before == after == 0 else "the current window" if before else "the reference"
        return ("constant" if before == after == 0 else "empty"), f"no value in {where}"
    if infinite_after and not infinite_before:
        return "infinite", f"{infinite_after:,} of {after:,} values are infinite, none before"
    if profile.share_far >= FAR:
        return "range", f"{profile.share_far:.0%} of the values are far outside those of the reference"
    return ("constant", "one value in both windows") if profile.is_constant else None


def _kind(change: ColumnChange) -> ColumnVerdict:
    what = change.measure.what
    if what == "nulls":
        return "nulls"
    if what == "infinite":
        return "infinite"
    return "new_category" if what == "share" and change.before == 0 else "drift"


def _words(change: ColumnChange) -> str:
    measure, difference = change.measure, change.after - change.before
    if measure.what == "shift":
        return f"{'higher' if difference > 0 else 'lower'} than before in {0.5 + abs(difference):.1%} of pairs"
    if measure.what == "spread":
        return f"{'more' if difference > 0 else 'less'} spread, by {abs(difference):.3f} of 1"
    if measure.what == "distance":
        return f"the means of the vectors' features are {change.effect:.3f} apart"
    name = {"share": f"share of {measure.level!r}", "nulls": "share of nulls", "infinite": "share of infinite values"}
    return f"{name[measure.what]} {change.before:.1%} -> {change.after:.1%}"


def drifted(columns: Mapping[str, ColumnDrift]) -> list[str]:
    """Return what drifted, in words, the most certain first."""
    by_p = [(column.p_adjusted or 0.0, name) for name, column in columns.items() if column.verdict in DRIFTED]
    return [f"{name}: {columns[name].what} (p {_p(columns[name])})" for _, name in sorted(by_p)]


def _p(column: ColumnDrift) -> str:
    return "untested" if column.p_adjusted is None else f"{column.p_adjusted:.2g}"
