"""Checkpoints: whatever fails or is killed while one is written, training resumes from the last or from the new one."""

from itertools import count
from pathlib import Path

import pytest
import torch
from torch import nn

from redrec.atomic import settle
from redrec.training import checkpoint
from redrec.training.presets import tiny
from tests.faults import Fault, is_reached

RECIPE = tiny()


def made_of(value: float) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a model whose weights, and an optimizer whose moments, are `value`."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        nn.init.constant_(parameter, value)
        moments = {"exp_avg": torch.full_like(parameter, value), "exp_avg_sq": torch.full_like(parameter, value)}
        optimizer.state[parameter] = {"step": torch.tensor(value), **moments}
    return model, optimizer


def save(folder: Path, step: int) -> None:
    state = checkpoint.TrainingState(step=step, best_step=1, best_score=0.5)
    checkpoint.save(folder, *made_of(step), state, RECIPE)


def resumed_step(folder: Path) -> int:
    """Return the step that training resumes at, after checking that every file is of that step."""
    model, optimizer = made_of(0)
    state = checkpoint.restore(folder, model, optimizer, RECIPE)
    for parameter in model.parameters():
        assert (parameter == state.step).all()
        assert (optimizer.state[parameter]["exp_avg"] == state.step).all()
    best, _ = made_of(0)
    checkpoint.load_best(folder, best)
    assert all((parameter == state.best_step).all() for parameter in best.parameters())
    return state.step


@pytest.mark.parametrize("fault", ["error", "kill"])
@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_checkpoint_is_the_last_or_the_new_one_after_a_fault_at_any_step(
    tmp_path: Path, fault: Fault, can_exchange: bool, monkeypatch: pytest.MonkeyPatch
):
    if not can_exchange:
        monkeypatch.setattr("redrec.atomic._exchange", lambda one, other: False)
    seen = set()
    for n in count():
        folder = tmp_path / str(n) / "checkpoint"
        folder.parent.mkdir()
        save(folder, 1)
        if not is_reached(n, fault, lambda folder=folder: save(folder, 2)):
            break
        settle(folder)  # as training does before it looks for a checkpoint
        seen.add(resumed_step(folder))
        save(folder, 3)
        assert resumed_step(folder) == 3
        assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]
    assert n > 10 and 1 in seen and seen <= {1, 2}
