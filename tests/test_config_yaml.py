"""Config as YAML: it reads again as the same config, with the comments of the source."""

from typing import Literal

import pytest
import yaml

from redrec.config import Config
from redrec.config_yaml import to_yaml
from redrec.training.presets import PRESETS
from redrec.training.recipe import Recipe


class Base(Config):
    """A section."""

    kind: str  # named in the registry
    share: float = 1e-05


class Section(Base):
    kind: Literal["section"] = "section"
    names: tuple[str, ...] = ("a, b", "yes")
    half_life: float | None = None  # absent: all stay


class Whole(Config):
    mode: Literal["fast", "slow"] = "fast"  # of the run
    section: Section = Section()


EXPECTED = """\
mode: fast  # of the run; one of fast, slow
section:
  kind: section  # named in the registry
  share: 1.0e-05
  names: ['a, b', 'yes']
  half_life: null  # absent: all stay
"""


def test_each_field_has_its_comment_and_its_values():
    assert to_yaml(Whole()) == EXPECTED
    assert Whole.model_validate(yaml.safe_load(EXPECTED)) == Whole()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_reads_again_as_itself(preset: str):
    recipe = PRESETS[preset]()
    assert Recipe.model_validate(yaml.safe_load(to_yaml(recipe))) == recipe
