import numpy as np
import torch

from redrec.training.negatives import Negatives
from redrec.training.tensors import on_device


def test_arrays_of_nested_tuples_become_tensors_and_the_rest_stays():
    negatives = Negatives(np.arange(2), np.zeros(2, np.float32), np.arange(2), True, False)
    ((moved,),) = on_device(((negatives,),), torch.device("cpu"))
    assert isinstance(moved, Negatives)
    assert moved.own_N.tolist() == [0, 1]
    assert (moved.offset_N.dtype, moved.is_full) == (torch.float32, True)
