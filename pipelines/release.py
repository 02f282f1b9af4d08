"""Release a model that was trained elsewhere, by torchrun or a TrainJob: all of a run but preparing and training."""

import shutil
from collections.abc import Callable
from pathlib import Path

from components.logs import quiet_libraries
from feature_repo.materialize import kept_events, materialize
from monitoring.drift import report_drift
from pipelines.local import check_run_folder
from redrec.bundle import build_bundle
from redrec.config import InputError
from redrec.data.split import read_vocabulary
from redrec.evaluation.evaluate import evaluate
from redrec.model.history import Vocabulary
from redrec.model.item_tower import MADE_OF, is_made_of
from redrec.recipe import Recipe
from redrec.staging import staged
from redrec.training.export import VOCABULARY

OF_DATA = ("data_quality.json", "quarantine.parquet")


def release(data: Path, model: Path, out: Path, progress: Callable[[str], None] = lambda line: None) -> Path:
    """Evaluate `model` on `data`, build its bundle, write a run folder as `redrec run` does, and return it.

    Args:
        data: Folder written by `redrec validate --out`; the model was trained on it.
        model: Folder written by `python -m redrec.training --out`.
        out: Run folder; created, or replaced as a whole if it is an earlier run.
        progress: Called with each line a person should see while waiting.

    Raises:
        InputError: `data`, `model` or `out` is unusable, or they do not belong together; `out` is as it was.
    """
    check_run_folder(out)
    check_model(data, model)
    recipe = Recipe.model_validate_json((model / "recipe.json").read_text(encoding="utf-8"))
    quiet_libraries()
    with staged(out) as run:
        progress(f"evaluate {model} on {data}")
        evaluate(data, model, run)
        progress("materialize the users' histories")
        features = materialize(data, run / "features", kept_events(recipe.history), recipe.data.engine)
        progress("build the bundle")
        metrics, feature_hash = run / "metrics.json", features["feature_hash"]
        build_bundle(data, model, run / "bundle", metrics=metrics, feature_hash=feature_hash)
        progress("compare the training window with the newest one")
        report_drift(data, run / "drift")
        for name in OF_DATA:
            shutil.copyfile(data / name, run / name)
    return out


def check_model(data: Path, model: Path) -> None:
    """Refuse a model that is not finished, or that numbers items, scenarios or actions otherwise than `data`."""
    vocabulary, exported = read_vocabulary(data), model / "export" / VOCABULARY
    for path in (model / "recipe.json", model / "content" / MADE_OF, exported, model / "training.json"):
        if not path.is_file():
            raise InputError(f"{model} holds no finished model: it has no {path.relative_to(model)}. Train, or go on.")
    trained = Vocabulary.model_validate_json(exported.read_text(encoding="utf-8"))
    if trained != vocabulary:
        raise InputError(f"{model} was trained for {trained}, and {data} has {vocabulary}. Train on {data}.")
    if not is_made_of(model / "content", data / "items.parquet"):
        raise InputError(f"{model} was trained on other items than {data} has. Train on {data}.")
