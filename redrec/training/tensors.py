"""Tensors: the arrays of a named tuple as tensors on a device."""

from typing import Any

import numpy as np
import torch


def on_device(values: Any, device: torch.device) -> Any:
    """Return `values` with tensors instead of numpy arrays, also in nested tuples; a named tuple keeps its class."""
    if isinstance(values, np.ndarray):
        return torch.from_numpy(values).to(device)
    if not isinstance(values, tuple):
        return values
    moved = [on_device(value, device) for value in values]
    return type(values)(*moved) if hasattr(values, "_fields") else tuple(moved)
