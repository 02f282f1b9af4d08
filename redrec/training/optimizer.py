"""Optimizer: AdamW with a linear warm-up and a cosine decay to zero.

The item tower's table of word vectors learns at a rate of its own: a row is touched only when its word is, so at the
rate that suits the transformer a rare word, or an item's own bucket, would hardly leave its random start.
"""

import math

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from redrec.config import Config


class OptimizerConfig(Config):
    num_steps: PositiveInt = 600
    learning_rate: PositiveFloat = 2e-3
    table_learning_rate: PositiveFloat = 2e-2
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    max_gradient_norm: PositiveFloat = 1.0


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Return AdamW over all parameters; matrices are decayed, biases, norms and tables are not.

    A group's `peak` is its learning rate before warm-up and decay.
    """
    groups: dict[str, list[nn.Parameter]] = {"table": [], "matrix": [], "other": []}
    for name, parameter in model.named_parameters():
        groups[_kind(name, parameter)].append(parameter)
    rate, table_rate = config.learning_rate, config.table_learning_rate
    return torch.optim.AdamW(
        [
            {"params": groups["table"], "peak": table_rate, "weight_decay": 0.0},
            {"params": groups["matrix"], "peak": rate, "weight_decay": config.weight_decay},
            {"params": groups["other"], "peak": rate, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
    )


def _kind(name: str, parameter: nn.Parameter) -> str:
    if name.endswith("bags.weight"):
        return "table"
    is_embedding = any(part in name for part in (".action.", ".scenario.", ".hour.", ".gap.", ".position."))
    return "matrix" if parameter.ndim == 2 and not is_embedding else "other"


def schedule(step: int, config: OptimizerConfig) -> float:
    """Return the share of the peak learning rate at a step.

    >>> config = OptimizerConfig(num_steps=100, warmup_share=0.1)
    >>> [round(schedule(step, config), 3) for step in (0, 9, 10, 55, 99)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    num_warmup = int(config.warmup_share * config.num_steps)
    if step < num_warmup:
        return (step + 1) / num_warmup
    progress = (step - num_warmup) / (config.num_steps - num_warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))
