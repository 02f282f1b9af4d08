"""Item encoder: the interface of all encoders. Content is written once from the item table, and a module reads it.

A new encoder is one file of this folder with an `ItemEncoder`, and one line in `redrec.model.encoders.registry`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from redrec.config import Config
from redrec.model.encoders.content import Content


class EncoderConfig(Config):
    kind: str  # the encoder's name in the registry


def no_sources(config: EncoderConfig) -> list[Path]:
    return []


class ItemEncoder(NamedTuple):
    """One encoder; `config` is the class of the configuration that its functions take."""

    config: type[EncoderConfig]
    write_content: Callable[[Path, Path, Any], Content]  # item table, folder, config; raises InputError
    open_content: Callable[[Path, Any], Content]  # folder, config
    make_module: Callable[[Any, Content, int], nn.Module]  # config, content, item_dim
    sources: Callable[[Any], list[Path]] = no_sources  # files or folders that the content depends on
