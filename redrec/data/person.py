"""Person: the user to forget, and how much of them a file or store held."""

from typing import NamedTuple

from redrec.data import columns as c


class Forgotten(NamedTuple):
    """How many rows of the user a file or store held, and how many it holds now."""

    removed: int
    left: int


class Person(NamedTuple):
    """The user who is forgotten, in all scenarios or in one."""

    user_id: str
    scenario: str | None = None

    def is_in(self, text: str) -> bool:
        """Return whether a text holds a bad row of the person; see `redrec.data.checks`.

        >>> row = "user_id=u1, item_id=i9, scenario=ads, action=, timestamp=1"
        >>> Person("u1").is_in(row), Person("u").is_in(row), Person("u1", "search").is_in(row)
        (True, False, False)
        """
        _, separator, rest = text.partition(f"{c.USER_ID}={self.user_id}, {c.ITEM_ID}=")
        return bool(separator) and (self.scenario is None or f", {c.SCENARIO}={self.scenario}, " in rest)
