"""Before step 1: what the steps that read URIs get to be cached by, as Kubeflow Pipelines sees names only."""

from typing import NamedTuple

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def identify_inputs(
    events: str,
    items: str,
    live: str = "",
) -> NamedTuple("Identities", [("tables", str), ("live", str)]):  # type: ignore[valid-type]  # KFP ships no class
    """Return the identity of the tables and of the live release: another one after each change of their content.

    Args:
        events: Event log: a path or URL, see `redrec.data.sources`.
        items: Item table, likewise.
        live: Release in service: a path or s3://bucket/folder; empty before the first release.
    """
    from components.start import start_step

    start_step()
    from redrec.store.identity import identity_of

    return identity_of([events, items]), identity_of([live])
