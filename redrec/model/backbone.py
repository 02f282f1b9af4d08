"""Backbone: the interface of the modules that turn events and queries into hidden states.

A new backbone is one file with a `Backbone`, and one line in `redrec.model.user_tower.BACKBONES`.
"""

from typing import NamedTuple

from torch import nn

from redrec.config import Config


class BackboneConfig(Config):
    kind: str  # the backbone's name in the registry


class Backbone(NamedTuple):
    """One backbone; `module` takes its configuration, the tower's hidden size and the number of distances.

    The module's `forward` has the signature of `redrec.model.transformer.Transformer.forward`.
    """

    config: type[BackboneConfig]
    module: type[nn.Module]
