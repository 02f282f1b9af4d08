"""Step 1: raw tables in, the checked data folder out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def prepare_data(
    events: str,
    items: str,
    data: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    recipe: str = "",
    identity: str = "",
) -> None:
    """Check and clean an event log and an item table, quarantine bad rows, and fix the time split.

    Args:
        events: Event log: a path or URL, see `redrec.data.sources`.
        items: Item table, likewise.
        data: Folder with clean tables, histories, split and data quality.
        metrics: Rows kept and quarantined.
        recipe: Fields of `redrec.training.recipe.Recipe` as JSON; empty for the defaults.
        identity: That of both tables, from identify_inputs; the result is cached by it.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from redrec.config import section
    from redrec.data.prepare import DataConfig, prepare

    quality = prepare(events, items, Path(data.path), section(recipe, "data", DataConfig))
    for table in ("events", "items"):
        counts = getattr(quality, table)
        metrics.log_metric(f"{table}_kept", counts.kept)
        metrics.log_metric(f"{table}_quarantined", sum(counts.quarantined.values()))
