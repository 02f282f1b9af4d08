"""Export: the user tower as ONNX and the catalog's vectors as memory-mapped arrays.

Evaluation, index and serving all read these files, so evaluation measures what is served. The catalog is encoded block
by block, texts of similar length together, and a vector is written at its item's row in half precision. In memory are
one block's inputs and vectors, beside the towers.

Shapes: B users, L events, Q interests, N items, E item vector, D embedding.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from redrec.config import InputError
from redrec.evaluation.scorers import Scorer, in_blocks
from redrec.folders import ModelFolder, ShardFolder
from redrec.history import NUM_HOURS, History, HistoryConfig, Ints, TowerInputs, tower_inputs
from redrec.mapped import new_array
from redrec.model.encoders.content import EncodingProgress, encoding_blocks
from redrec.model.item_tower import ItemContent
from redrec.model.user_tower import QueryGroups, UserTower
from redrec.training.distributed import device
from redrec.training.tensors import on_device
from redrec.training.towers import Towers

OPSET = 23  # the first with an operator for attention


class ServedUserTower(nn.Module):
    """The user tower with one query group, cut after the newest event."""

    def __init__(self, tower: UserTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, *tensors: Tensor) -> Tensor:
        """Return `interests_BQD`; the tensors are the fields of `TowerInputs`, as the ONNX exporter needs them."""
        inputs = TowerInputs(*tensors)
        cut_B1 = inputs.is_event_BL.long().sum(1, keepdim=True)
        is_queried_B1 = torch.ones_like(cut_B1, dtype=torch.bool)
        queries = QueryGroups(inputs.query_scenario_B[:, None], inputs.query_gap_B[:, None], cut_B1, is_queried_B1)
        interests_B1QD = self.tower(inputs.vectors_BLE, inputs.events, queries)
        return interests_B1QD[:, 0]


def export_towers(towers: Towers, content: ItemContent, num_scenarios: int, model: Path) -> None:
    """Write the user tower, the item vectors [N, E] and the item embeddings [N, D] into a model folder."""
    folder = ModelFolder(model)
    folder.export.mkdir(parents=True, exist_ok=True)
    towers.eval()
    export_user_tower(towers.users, num_scenarios, folder.tower)
    towers.items.to(device())
    export_items(towers, content, folder, EncodingProgress(len(content)))


@torch.inference_mode()
def export_items(
    towers: Towers, content: ItemContent, folder: ModelFolder | ShardFolder, progress: EncodingProgress | None = None
) -> None:
    """Encode items block by block into two memory-mapped arrays.

    Raises:
        InputError: A vector is not finite in half precision.
    """
    dims = {folder.item_vectors: towers.items.head.in_features, folder.item_embeddings: towers.items.head.out_features}
    vectors_NE, embeddings_ND = (new_array(path, np.float16, (len(content), dim)) for path, dim in dims.items())
    target, num_done = towers.items.head.weight.device, 0
    for items_M in encoding_blocks(content.encoded):
        vectors_ME = towers.items(**{name: value.to(target) for name, value in content.of(items_M).items()})
        vectors_NE[items_M] = _finite(vectors_ME, items_M)
        embeddings_ND[items_M] = _finite(towers.items.embed(vectors_ME), items_M)
        num_done += len(items_M)
        if progress is not None:
            progress.show(num_done)
    vectors_NE.flush()
    embeddings_ND.flush()


def _finite(values_MX: Tensor, items_M: Ints) -> NDArray[np.float16]:
    half_MX = values_MX.half().cpu().numpy()
    broken = items_M[~np.isfinite(half_MX).all(1)]
    if len(broken):
        raise InputError(
            f"The towers give vectors that are nan, infinite or beyond ±65504 for {len(broken):,} of {len(items_M):,} "
            f"items, such as row {broken.min():,}. Check that the weights and the item vectors are finite."
        )
    return half_MX


def live_scorer(towers: Towers, content: ItemContent, config: HistoryConfig, scratch: Path) -> Scorer:
    """Return a scorer of the current weights; the catalog's vectors are written into `scratch`."""
    folder = ModelFolder(scratch)
    folder.export.mkdir(parents=True, exist_ok=True)
    towers.eval()
    export_items(towers, content, folder)
    vectors_NE = np.load(folder.item_vectors, mmap_mode="r")
    served, target = ServedUserTower(towers.users), towers.log_scale.device

    @in_blocks
    @torch.inference_mode()
    def interests_of(histories: Sequence[History], scenario: int, moment_ms_B: Ints) -> NDArray[np.floating]:
        inputs = tower_inputs(histories, [scenario] * len(histories), moment_ms_B, vectors_NE, config)
        return served(*on_device(inputs, target)).float().cpu().numpy()

    return Scorer(interests_of, np.load(folder.item_embeddings, mmap_mode="r"))


def export_user_tower(tower: UserTower, num_scenarios: int, path: Path) -> None:
    """Write the tower as one ONNX file; users and events are dynamic axes."""
    served = ServedUserTower(tower).eval()
    batch, length = 2, 3
    example = TowerInputs(
        vectors_BLE=torch.zeros(batch, length, tower.project.in_features),
        action_BL=torch.randint(1, (batch, length)),
        scenario_BL=torch.randint(num_scenarios, (batch, length)),
        hour_BL=torch.randint(NUM_HOURS, (batch, length)),
        gap_BL=torch.randint(2, (batch, length)),
        is_event_BL=torch.ones(batch, length, dtype=torch.bool),
        query_scenario_B=torch.zeros(batch, dtype=torch.long),
        query_gap_B=torch.zeros(batch, dtype=torch.long),
    )
    users, events = torch.export.Dim("users", min=1), torch.export.Dim("events", min=1)
    shapes = tuple({0: users} if tensor.ndim == 1 else {0: users, 1: events} for tensor in example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            served,
            tuple(example),
            input_names=list(TowerInputs._fields),
            output_names=["interests_BQD"],
            dynamic_shapes=(shapes,),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    onnx.save(_without_origins(program.model_proto), path)


def _without_origins(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the exporter's notes: the stack trace of every node has paths of this machine, and changes the hash."""
    graphs = [model.graph, *model.functions]
    messages = [model, *graphs, *model.graph.value_info]
    for graph in graphs:
        messages.extend(graph.node)
    for message in messages:
        message.ClearField("metadata_props")
        message.ClearField("doc_string")
    return model
