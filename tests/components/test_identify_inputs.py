"""Before step 1: the identities that other steps are cached by."""

from pathlib import Path

from components.identify_inputs import identify_inputs


def test_a_new_live_release_leaves_the_tables_as_they_were(tmp_path: Path):
    for name in ("events", "items", "live"):
        (tmp_path / name).write_text(name)
    first, again, without = (
        identify_inputs.python_func(str(tmp_path / "events"), str(tmp_path / "items"), live)
        for live in (str(tmp_path / "live"), str(tmp_path / "live"), "")
    )
    assert first == again
    assert (first[0] == without[0], first[1] == without[1]) == (True, False)


def test_each_table_counts(tmp_path: Path):
    for name in ("events", "items", "other"):
        (tmp_path / name).write_text(name)
    events, items, other = (str(tmp_path / name) for name in ("events", "items", "other"))
    pairs = [(events, items), (other, items), (events, other)]
    assert len({identify_inputs.python_func(*pair)[0] for pair in pairs}) == 3
