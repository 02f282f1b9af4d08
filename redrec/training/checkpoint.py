"""Checkpoint: model, optimizer moments and step, from which a run goes on as if it had not stopped.

Tensors are safetensors, the rest is JSON; nothing is pickled. A checkpoint is written beside the last one and
takes its place at the end, so an interrupted write loses nothing.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from redrec.config import InputError
from redrec.recipe import Recipe


def save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, recipe: Recipe) -> None:
    """Write the state after `step` steps."""
    staging = folder.with_name(folder.name + ".partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in _weights(model).items()}, staging / "model.safetensors")
    save_file(_moments(model, optimizer), staging / "optimizer.safetensors")
    (staging / "state.json").write_text(json.dumps({"step": step, "recipe": recipe.model_dump(mode="json")}))
    shutil.rmtree(folder, ignore_errors=True)
    staging.rename(folder)


def restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe) -> int:
    """Load the state in `folder`, if there is one, and return the number of steps done.

    Raises:
        InputError: The checkpoint was made with another recipe.
    """
    if not folder.is_dir():
        return 0
    state = json.loads((folder / "state.json").read_text())
    if state["recipe"] != recipe.model_dump(mode="json"):
        raise InputError(
            f"{folder} was made with another recipe than the one given; going on would mix the two. "
            "Give the recipe saved in its state.json, or another output folder."
        )
    _load_weights(model, load_file(folder / "model.safetensors"))
    moments = load_file(folder / "optimizer.safetensors")
    for name, parameter in model.named_parameters():
        optimizer.state[parameter] = {
            key: moments[f"{name}/{key}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{name}/{key}" in moments
        }
    return int(state["step"])


def load_model(folder: Path, model: nn.Module) -> None:
    """Load the weights of a checkpoint alone."""
    _load_weights(model, load_file(folder / "model.safetensors"))


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters by name, a shared one once."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def _load_weights(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def _moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value.contiguous()
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
    }
