"""Session: the exported user tower opened for running, the same way in evaluation as in serving."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from redrec.history import TowerInputs

Tower = Callable[[TowerInputs[NDArray[Any]]], NDArray[np.float32]]  # -> interests_BQD


class TowerError(RuntimeError):
    """The tower did not run to its end."""


def tower_dim(path: Path) -> int:
    """Return the number of dimensions of the tower's interests."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    dim: int = session.get_outputs()[0].shape[-1]
    return dim


def open_tower(path: Path) -> Tower:
    """Open the tower with one thread per run that never spins.

    Pods share cores, and more replicas scale better than more threads; in evaluation a spinning thread doubled the CPU
    seconds of ranking. The tower gets only the inputs that it has: that of an older bundle has no `query_gap_B`.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def interests_of(inputs: TowerInputs[NDArray[Any]]) -> NDArray[np.float32]:
        interests_BQD: NDArray[np.float32]
        try:
            (interests_BQD,) = session.run(["interests_BQD"], {name: getattr(inputs, name) for name in names})
        except (Fail, InvalidArgument, RuntimeException) as error:
            raise TowerError(str(error)) from error
        return interests_BQD

    return interests_of
