"""Item encoder: the interface of all encoders. Content is written once from the item table, and a module reads it.

A new encoder is one file of this folder with an `ItemEncoder`, one line in `redrec.model.encoders.registry` and one
in `redrec.model.encoders.config`, which has its configuration.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from redrec.model.encoders.config import EncoderConfig
from redrec.model.encoders.content import Content


def no_sources(config: EncoderConfig) -> list[Path]:
    return []


class ItemEncoder(NamedTuple):
    """One encoder; a config is of its class in `ENCODER_CONFIGS`."""

    write_content: Callable[[Path, Path, Any], Content]  # item table, folder, config; raises InputError
    open_content: Callable[[Path, Any], Content]  # folder, config
    make_module: Callable[[Any, Content, int], nn.Module]  # config, content, item_dim
    sources: Callable[[Any], list[Path]] = no_sources  # files or folders that the content depends on
