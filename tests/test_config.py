"""Config: what a file or a section may hold, and what the error says of anything else."""

import pytest

from redrec.config import Config, InputError, changed, load_config, section, validated
from redrec.model.config import ItemTowerConfig
from redrec.model.encoders.config import IdsOnlyConfig


class Window(Config):
    days: int = 7


class Report(Config):
    window: Window = Window()
    title: str


def test_a_section_is_read_without_the_others():
    assert section('{"window": {"days": 3}, "optimizer": {"nosuch": 1}}', "window", Window) == Window(days=3)


@pytest.mark.parametrize("recipe", ["", "{}", '{"optimizer": {}}'])
def test_an_absent_section_means_the_defaults(recipe):
    assert section(recipe, "window", Window) == Window()


def test_a_bad_section_is_named():
    with pytest.raises(InputError, match="^recipe, section window: days: Input should be a valid integer"):
        section('{"window": {"days": "many"}}', "window", Window)


def test_an_unknown_and_a_missing_key_are_named_with_the_allowed_ones():
    message = "^r.yaml: title: missing; titel: unknown key, did you mean title[?] Allowed keys: window, title[.]$"
    with pytest.raises(InputError, match=message):
        validated(Report, {"titel": "x"}, "r.yaml")


def test_a_key_of_a_section_is_named_by_its_path():
    with pytest.raises(
        InputError, match="^r.yaml: window.dayz: unknown key, did you mean days[?] Allowed keys of window: days[.]$"
    ):
        validated(Report, {"title": "x", "window": {"dayz": 3}}, "r.yaml")


@pytest.mark.parametrize("text", ["title: x\nwindow: {days: 3}\n", '{"title": "x", "window": {"days": 3}}'])
def test_yaml_and_json_are_read(tmp_path, text):
    (tmp_path / "report").write_text(text)
    assert load_config(Report, tmp_path / "report") == Report(title="x", window=Window(days=3))


@pytest.mark.parametrize(("text", "seen"), [("", "NoneType"), ("- title\n", "list"), ("7\n", "int")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, seen):
    (tmp_path / "report.yaml").write_text(text)
    with pytest.raises(InputError, match=f"report.yaml holds {seen}, not a mapping of keys to values"):
        load_config(Report, tmp_path / "report.yaml")


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="absent.yaml does not exist. Give the path of a YAML or JSON file"):
        load_config(Report, tmp_path / "absent.yaml")


def test_a_broken_file_is_refused_with_the_line(tmp_path):
    (tmp_path / "report.yaml").write_text("title: [x\n")
    message = "report.yaml cannot be read: line 2, column 1: expected .* Give a YAML or JSON file[.]$"
    with pytest.raises(InputError, match=message):  # `.` is no line break: it is one line
        load_config(Report, tmp_path / "report.yaml")


@pytest.mark.parametrize(
    "content", [b"\x00\x01", b"\xff\xfe\xff", b"title: 2024-13-45"], ids=["nul", "binary", "no date"]
)
def test_a_file_that_is_no_yaml_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "report.yaml").write_bytes(content)
    with pytest.raises(InputError, match="^Config file .* cannot be read: .* Give a YAML or JSON file[.]$"):
        load_config(Report, tmp_path / "report.yaml")


def test_a_folder_is_said_to_be_one(tmp_path):
    with pytest.raises(InputError, match="is a folder. Give the path of a YAML or JSON file"):
        load_config(Report, tmp_path)


def test_changes_set_fields_of_sections():
    report = Report(title="x")
    assert changed(report, ["window.days=3,title='a, b=c'"], "--set") == Report(title="a, b=c", window=Window(days=3))
    assert changed(report, ["title=y", "title=z"], "--set") == Report(title="z")
    assert changed(report, [], "--set") == report


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("window.days", "^--set 'window.days' is no assignment. Give it as in --set optimizer.num_steps=2000[.]$"),
        ("=3", "is no assignment"),
        ("window.=3", "is no assignment"),
        ("window.days=[3", "^--set 'window.days=.3' has no YAML or JSON after the =: line 1, .*[.]$"),
        ("title.days=3", "title is a value without fields of its own"),
        ("days=3", "^--set: days: unknown key, did you mean window.days[?] Allowed keys: window, title[.]$"),
        ("window.days=many", "^--set: window.days: Input should be a valid integer, .*, not 'many'[.]$"),
    ],
)
def test_a_change_that_is_not_allowed_is_refused(change: str, message: str):
    with pytest.raises(InputError, match=message):
        changed(Report(title="x"), [change], "--set")


def test_a_new_kind_drops_the_fields_of_the_old_one():
    item_tower = changed(ItemTowerConfig(), ["num_id_buckets=9,encoder.kind=ids_only"], "--set")
    assert item_tower.encoder == IdsOnlyConfig()


@pytest.mark.parametrize("recipe", ["{data", "[1, 2]"])
def test_a_recipe_that_is_no_json_object_is_refused(recipe: str):
    with pytest.raises(InputError, match="The recipe is"):
        section(recipe, "data", Config)
