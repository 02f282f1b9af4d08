"""Distributed: one process or several under torchrun, the same training code.

`torchrun --nproc-per-node 2 -m redrec.training ...` starts several. Each takes its rows of every step, encodes its
share of the negatives, and gets the embeddings of the other shares, with gradient. The gradient is that of the whole
batch for any number of processes: each multiplies its summed loss by processes / targets of all processes, and
replication averages the gradients.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed._functional_collectives import all_gather_single_autograd
from torch.nn.parallel import DistributedDataParallel

from redrec.training.batches import Shard
from redrec.training.config import ComputeConfig


def device() -> torch.device:
    """Return this process's device."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextmanager
def processes() -> Iterator[Shard]:
    """Join the processes that torchrun started, until the context ends; without torchrun there is one."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Shard()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(device())
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Shard(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def spread(model: nn.Module, shard: Shard, config: ComputeConfig) -> nn.Module:
    """Return the module to call in training; read the weights from `model` as before."""
    if shard.num_processes == 1:
        return model
    if config.sharding == "sharded":
        from torch.distributed.fsdp import fully_shard  # a CPU second, which one process does not need

        fully_shard(model)
        return model
    return DistributedDataParallel(model)


def gathered(own_ND: Tensor) -> Tensor:
    """Return the rows of all processes in order of rank, with gradient."""
    return all_gather_single_autograd(own_ND, 0, dist.group.WORLD) if dist.is_initialized() else own_ND


def total(value: float) -> float:
    """Return the sum over all processes."""
    if not dist.is_initialized():
        return value
    summed = torch.tensor(value, dtype=torch.float64, device=device() if dist.get_backend() == "nccl" else None)
    dist.all_reduce(summed)
    return float(summed)
