"""Edits: the history of a git repository as a log, to see which file somebody edits next.

Any clone will do. People come back to the same files, new ones appear every day, and what is worked on changes: no choice
of the product was made on such a log. A user is an author's address, an item is a file, known by its path. A top-level
folder with enough of the edits is a scenario, and all else is another. Commits of many files are left out, as are robots
and authors with few edits.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

MAX_FILES = 30  # of a commit; one that touches more says little of its author
MIN_EDITS = 3  # of an author
MIN_SHARE = 0.05  # of the edits, for a folder of its own
OTHERS = "others"
COMMIT, FIELD = "\x01", "\x02"  # in no address or path


def write_tables(repository: Path, folder: Path) -> tuple[Path, Path]:
    """Write `events.parquet` and `items.parquet` of a repository's history into `folder`, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    events, items = folder / "events.parquet", folder / "items.parquet"
    edits = pd.DataFrame(edits_of(_log(repository)), columns=["user_id", "item_id", "timestamp"])
    edits = edits[edits.groupby("user_id")["user_id"].transform("size") >= MIN_EDITS]
    top = edits["item_id"].str.partition("/")[0]
    share = top.map(top.value_counts(normalize=True))
    edits.assign(scenario=top.where(share >= MIN_SHARE, OTHERS), action="edit").to_parquet(events, index=False)
    files = pd.DataFrame({"item_id": edits["item_id"].unique()})
    files.assign(title=[re.sub(r"[/_.-]+", " ", path) for path in files["item_id"]]).to_parquet(items, index=False)
    return events, items


def edits_of(log: str) -> Iterator[tuple[str, str, int]]:
    r"""Yield the author, the file and the time in milliseconds of each edit in a log of `_log`.

    >>> list(edits_of("\x01A@b.c\x0217\n\nlib/x.py\nREADME\n\x01bot@b.c\x0218\n\nlib/y.py\n"))
    [('a@b.c', 'lib/x.py', 17000), ('a@b.c', 'README', 17000)]
    """
    for commit in log.split(COMMIT)[1:]:
        head, *files = filter(None, commit.split("\n"))
        author, _, seconds = head.partition(FIELD)
        if len(files) <= MAX_FILES and "bot" not in author:
            for file in files:
                yield author.lower(), file, int(seconds) * 1000


def _log(repository: Path) -> str:
    form = f"--format={COMMIT}%ae{FIELD}%at"
    words = ["git", "-C", str(repository), "log", "--no-merges", "--no-renames", "--name-only", form]
    return subprocess.run(words, capture_output=True, text=True, errors="replace", check=True).stdout
