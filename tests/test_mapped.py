"""Mapped arrays: they come back as written, and a full disk is an error, not the end of the process."""

from pathlib import Path

import numpy as np

from redrec.mapped import new_array
from tests.full_disk import with_small_disk

CREATE = "from pathlib import Path; import numpy as np; from redrec.mapped import new_array"


def test_an_array_comes_back_as_it_was_written(tmp_path: Path):
    array_NX = new_array(tmp_path / "a.npy", np.float16, (3, 2))
    array_NX[1:] = 5
    assert np.load(tmp_path / "a.npy").tolist() == [[0, 0], [5, 5], [5, 5]]
    assert new_array(tmp_path / "none.npy", np.float16, (1, 0)).shape == (1, 0)


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path):
    script = f'$PYTHON -c "{CREATE}; new_array(Path({str(tmp_path)!r}) / {"a.npy"!r}, np.float16, (10**6, 64))[:] = 1"'
    result = with_small_disk(tmp_path, 1024, script)
    assert f"OSError: [Errno 28] No space left on device: '{tmp_path}/a.npy'" in result.stderr
    assert result.returncode == 1
