"""Item encoders behind one interface: content is written once from the item table, an encoder reads it.

| kind | reads | needs |
|---|---|---|
| `hashed` | hashed words of the text, learned from the interactions | nothing |
| `vectors` | vectors that somebody computed | a Parquet or .npy file |
| `text` | a Hugging Face text model: frozen, with LoRA adapters, or trained in full | the model's folder or name |

An encoder is a module that takes the inputs its content gives, by name, and returns `content_ME`.
"""

from pathlib import Path

from torch import nn

from redrec.model.encoders.content import Content, Tokens
from redrec.model.encoders.hashed import HashedConfig, HashedEncoder, write_hashed

EncoderConfig = HashedConfig


def write_content(items: Path, folder: Path, config: EncoderConfig) -> Content:
    """Write what the encoder reads of each item, in the order of `items`, into `folder`."""
    return write_hashed(items, folder, config)


def open_content(folder: Path, config: EncoderConfig) -> Content:
    """Return the content that `write_content` wrote into `folder`."""
    return Tokens(folder)


def make_encoder(config: EncoderConfig, content: Content, item_dim: int) -> nn.Module:
    return HashedEncoder(config, item_dim)
