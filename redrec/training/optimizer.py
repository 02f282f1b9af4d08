"""Optimizer: AdamW with a linear warm-up, then a cosine decay or a plateau that is annealed at its end.

A step uses few rows of a table (hashed words, item ids), so tables have a learning rate of their own: at the
transformer's rate, the row of a rare word or item would hardly change from its random initial value. They also have far
more decay: the row of a rare item shrinks to zero, and the item is described by what it shares with others. A
pretrained language model has its own rate too, since the other rates would ruin its weights.
"""

import math
from typing import Any

import torch
from torch import nn

from redrec.model.parameter_groups import LANGUAGE_MODEL, MATRIX, TABLE, UNDECAYED
from redrec.training.config import OptimizerConfig

REFRESH_RATE = 0.3  # of the peak, at its first step


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Return AdamW for the parameters that learn; biases, norms and small embeddings have no decay.

    A group's `peak` is its learning rate before warm-up and decay.
    """
    rate, decay = config.learning_rate, config.weight_decay
    groups: dict[str, dict[str, Any]] = {
        TABLE: {"peak": config.table_learning_rate, "weight_decay": config.table_weight_decay},
        LANGUAGE_MODEL: {"peak": config.language_model_learning_rate, "weight_decay": decay},
        MATRIX: {"peak": rate, "weight_decay": decay},
        UNDECAYED: {"peak": rate, "weight_decay": 0.0},
    }
    group_of = parameter_groups(model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups[group_of[parameter]].setdefault("params", []).append(parameter)
    return torch.optim.AdamW([group for group in groups.values() if "params" in group], betas=(0.9, 0.98), fused=True)


def parameter_groups(model: nn.Module, inherited: str | None = None) -> dict[nn.Parameter, str]:
    """Return each parameter's group: that of the nearest enclosing module with a `parameter_group`.

    Without such a module, a parameter of two axes is a matrix, and any other has no decay. A shared parameter has the
    group of the first module that contains it.
    """
    own = getattr(model, "parameter_group", inherited)
    groups: dict[nn.Parameter, str] = {}
    for parameter in model.parameters(recurse=False):
        groups[parameter] = own or (MATRIX if parameter.ndim == 2 else UNDECAYED)
    for module in model.children():
        groups = parameter_groups(module, own) | groups
    return groups


def num_refresh_steps(config: OptimizerConfig) -> int:
    return round(config.refresh_share * config.steps)


def schedule(step: int, config: OptimizerConfig) -> float:
    """Return the share of the peak learning rate at a step; that of a refresh, after all others, falls to zero again.

    >>> config = OptimizerConfig(num_steps=100, warmup_share=0.1)
    >>> [round(schedule(step, config), 3) for step in (0, 9, 10, 55, 99)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    >>> plateau = OptimizerConfig(num_steps=100, warmup_share=0.1, schedule="warmup_stable_anneal")
    >>> [round(schedule(step, plateau), 3) for step in (0, 9, 10, 79, 80, 90, 99)]
    [0.1, 1.0, 1.0, 1.0, 1.0, 0.5, 0.05]
    """
    if step >= config.steps:
        return REFRESH_RATE * (1 - (step - config.steps) / num_refresh_steps(config))
    num_warmup = int(config.warmup_share * config.steps)
    if step < num_warmup:
        return (step + 1) / num_warmup
    if config.schedule == "cosine":
        progress = (step - num_warmup) / (config.steps - num_warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))
    return min(1.0, (config.steps - step) / max(1, round(config.anneal_share * config.steps)))
