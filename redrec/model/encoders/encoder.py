"""Item encoder: the interface of all encoders. Content is written once from the item table, and a module reads it.

A new encoder is one file of this folder with an `ItemEncoder`, one line in `redrec.model.encoders.registry` and one
in `redrec.model.encoders.config`, which has its configuration.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from redrec.data import columns as c
from redrec.model.encoders.config import EncoderConfig
from redrec.model.encoders.content import Content, rows_of


def no_sources(config: EncoderConfig) -> list[Path]:
    return []


def whole_rows(items: Path, config: EncoderConfig) -> Iterator[str]:
    return (repr(row) for row in rows_of(items, (c.TITLE, c.BODY, c.TAGS, c.CATEGORY)))


class ItemEncoder(NamedTuple):
    """One encoder; a config is of its class in `ENCODER_CONFIGS`."""

    write_content: Callable[[Path, Path, Any], Content]  # item table, folder, config; raises InputError
    open_content: Callable[[Path, Any], Content]  # folder, config
    make_module: Callable[[Any, Content, int], nn.Module]  # config, content, item_dim
    sources: Callable[[Any], list[Path]] = no_sources  # files or folders that the content depends on
    # Item table, config: what is read of each item, in the order of the table; if it differs, the item has changed.
    readings: Callable[[Path, Any], Iterable[str | bytes]] = whole_rows
    # Item table, folder, config, content folder of a training: the input for items that the training did not have, as
    # it would have been written then; absent: `write_content` does not compare items.
    write_new: Callable[[Path, Path, Any, Path], Content] | None = None
