"""Config: what a file or a section may hold, and what the error says of anything else."""

import pytest

from redrec.config import Config, InputError, load_config, section, validated


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
    message = "^r.yaml: title: Field required; titel: Extra inputs are not permitted[.] Allowed keys: window, title[.]$"
    with pytest.raises(InputError, match=message):
        validated(Report, {"titel": "x"}, "r.yaml")


def test_a_key_of_a_section_is_named_by_its_path():
    with pytest.raises(InputError, match="^r.yaml: window.dayz: Extra inputs are not permitted[.]$"):
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
    with pytest.raises(InputError, match="(?s)report.yaml cannot be read: .*line 2.* Give a YAML or JSON file"):
        load_config(Report, tmp_path / "report.yaml")


@pytest.mark.parametrize("recipe", ["{data", "[1, 2]"])
def test_a_recipe_that_is_no_json_object_is_refused(recipe: str):
    with pytest.raises(InputError, match="The recipe is"):
        section(recipe, "data", Config)
