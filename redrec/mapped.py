"""Mapped arrays: a new .npy file, memory-mapped, with its space on the disk.

A mapped file starts as one hole. Where a disk is full, the first write to a hole ends the process with SIGBUS, without
a word; so the space is taken first, which is an error like any other.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """Return a new array of zeros, mapped from `path`, to be written block by block.

    Raises:
        OSError: The disk has not enough space, or `path` cannot be written; it is the error's filename.
    """
    array: np.memmap = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    try:
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, path.stat().st_size))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return array
