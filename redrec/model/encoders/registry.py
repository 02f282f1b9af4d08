"""Kinds: item encoders behind one interface. Content is written once from the item table, an encoder reads it.

| kind | reads | needs |
|---|---|---|
| `hashed` | hashed words of the text, learned from the interactions | nothing |
| `vectors` | vectors that somebody computed | a Parquet or .npy file |
| `ids_only` | nothing: the tower's id embedding is all | ids |
| `text` | a Hugging Face text model: frozen, with LoRA adapters, or trained in full | the model's folder or name |

An encoder is a module that takes the inputs its content gives, by name, and returns `content_ME`.
"""

from pathlib import Path

from torch import nn

from redrec.model.encoders.content import Content, Tokens, num_items
from redrec.model.encoders.hashed import HashedConfig, HashedEncoder, write_hashed
from redrec.model.encoders.ids_only import IdsOnlyConfig, NoContent, NoEncoder, write_no_content
from redrec.model.encoders.language_model import TextConfig
from redrec.model.encoders.text import TextEncoder, write_text
from redrec.model.encoders.vectors import Projection, VectorContent, VectorsConfig, write_vectors

EncoderConfig = HashedConfig | VectorsConfig | TextConfig | IdsOnlyConfig


def write_content(items: Path, folder: Path, config: EncoderConfig) -> Content:
    """Write what the encoder reads of each item, in the order of `items`, into `folder`.

    Raises:
        InputError: What `config` names is absent or unfit.
    """
    if isinstance(config, HashedConfig):
        return write_hashed(items, folder, config)
    if isinstance(config, VectorsConfig):
        return write_vectors(items, folder, config)
    if isinstance(config, IdsOnlyConfig):
        return write_no_content(folder, num_items(items))
    return write_text(items, folder, config)


def open_content(folder: Path, config: EncoderConfig) -> Content:
    """Return the content that `write_content` wrote into `folder`."""
    if isinstance(config, IdsOnlyConfig):
        return NoContent(folder)
    is_frozen = isinstance(config, VectorsConfig) or (isinstance(config, TextConfig) and config.regime == "frozen")
    return VectorContent(folder) if is_frozen else Tokens(folder)


def make_encoder(config: EncoderConfig, content: Content, item_dim: int) -> nn.Module:
    """Return the module that takes `content.of(items_M)` by name and returns `content_ME`."""
    if isinstance(config, HashedConfig):
        return HashedEncoder(config, item_dim)
    if isinstance(config, IdsOnlyConfig):
        return NoEncoder()
    if isinstance(content, VectorContent):
        return Projection(content.vectors_NV.shape[1], item_dim, config.dropout)
    assert isinstance(config, TextConfig)
    return TextEncoder(config, item_dim)


def sources(config: EncoderConfig) -> list[Path]:
    """Return the files, or folders of files, whose content the encoder's content depends on."""
    if isinstance(config, VectorsConfig):
        return [path for path in (config.path, config.ids) if path]
    return [Path(config.model)] if isinstance(config, TextConfig) else []
