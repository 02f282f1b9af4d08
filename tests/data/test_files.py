"""Files: a name says the type, and what is hidden or of no type is no table."""

from pathlib import Path

import pytest

from redrec.data.files import tables_in, type_of


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("events.parquet", "parquet"),
        ("events.2024.csv", "text"),
        ("events.tsv.zst", "text"),
        ("events.ndjson", "json"),
        ("events.jsonl.gz", "json"),
        ("events.parquet.gz", None),
        ("csv", None),
    ],
)
def test_a_name_says_the_type(name: str, type_: str | None):
    assert type_of(Path(name)) == type_


def test_tables_are_the_visible_files_of_a_type_in_all_folders(tmp_path: Path):
    for name in ("b.csv", "day=1/a.csv", ".part.csv", "_delta/c.csv", "README", "notes.docx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("user_id\nu\n")
    (tmp_path / "folder.csv").mkdir()
    assert tables_in(tmp_path) == [tmp_path / "b.csv", tmp_path / "day=1/a.csv"]
