"""Registry: all item encoders by name. Content is written once from the item table, and an encoder reads it.

| kind | reads | needs |
|---|---|---|
| `hashed` | hashed words of the text, learned from the interactions | nothing |
| `vectors` | vectors that were computed elsewhere | a Parquet or .npy file |
| `text` | a Hugging Face text model: frozen, with LoRA adapters, or trained in full | the model's folder or name |
| `ids_only` | nothing: the tower has id embeddings alone | ids |

An encoder is a module that takes the inputs its content gives, by name, and returns `content_ME`.
"""

from collections.abc import Iterable
from pathlib import Path

from torch import nn

from redrec.model.encoders import hashed, ids_only, text, vectors
from redrec.model.encoders.config import EncoderConfig
from redrec.model.encoders.content import Content
from redrec.model.encoders.encoder import ItemEncoder

ENCODERS: dict[str, ItemEncoder] = {
    "hashed": hashed.ENCODER,
    "vectors": vectors.ENCODER,
    "text": text.ENCODER,
    "ids_only": ids_only.ENCODER,
}


def write_content(items: Path, folder: Path, config: EncoderConfig) -> Content:
    """Write the encoder's input for each item, in the order of `items`, into `folder`.

    Raises:
        InputError: A file or model that `config` names is absent or unfit.
    """
    return ENCODERS[config.kind].write_content(items, folder, config)


def write_new_content(items: Path, folder: Path, config: EncoderConfig, trained: Path) -> Content:
    """Write the encoder's input for items that a training did not have; `trained` is the folder of its content.

    What the training derived from its whole catalog, such as a mean, holds for these items too.

    Raises:
        InputError: A file or model that `config` names is absent or unfit.
    """
    encoder = ENCODERS[config.kind]
    if encoder.write_new is None:
        return encoder.write_content(items, folder, config)
    return encoder.write_new(items, folder, config, trained)


def readings(items: Path, config: EncoderConfig) -> Iterable[str | bytes]:
    """Return what the encoder reads of each item, in the order of `items`."""
    return ENCODERS[config.kind].readings(items, config)


def open_content(folder: Path, config: EncoderConfig) -> Content:
    """Return the content that `write_content` wrote into `folder`."""
    return ENCODERS[config.kind].open_content(folder, config)


def make_encoder(config: EncoderConfig, content: Content, item_dim: int) -> nn.Module:
    """Return the module that takes `content.of(items_M)` by name and returns `content_ME`."""
    return ENCODERS[config.kind].make_module(config, content, item_dim)


def sources(config: EncoderConfig) -> list[Path]:
    """Return the files, or folders of files, that the encoder's content depends on."""
    return ENCODERS[config.kind].sources(config)
