"""Quality report: what was done to a table is said before what is wrong with it."""

from cli.quality import schemas, table_quality_lines
from redrec.data.quality import TableQuality


def test_a_table_is_described_by_its_columns_notices_and_bad_rows():
    quality = TableQuality(
        mapping="contract",
        used=("user", "ts"),
        ignored=("note",),
        notices=("user_id is the column user",),
        rows=3,
        kept=2,
        quarantined={"user_id is missing": 1},
        examples={"user_id is missing": ("user_id=, item_id=i1",)},
    )
    assert list(table_quality_lines("events", quality)) == [
        "events: 2 of 3 rows kept",
        "  mapping contract: columns as in the contract",
        "  columns used: user, ts",
        "  columns ignored: note",
        "  user_id is the column user",
        "  1 in quarantine: user_id is missing",
        "    user_id=, item_id=i1",
    ]


def test_a_schema_is_listed_with_its_columns_and_meaning():
    assert {"schema": "movielens", "columns": ["genres", "movieId", "title"]}.items() <= next(
        schema for schema in schemas()["items"] if schema["schema"] == "movielens"
    ).items()
