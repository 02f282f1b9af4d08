"""Step 7: a release in the run's artifact store in, where a server reads it out."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def publish_bundle(release: dsl.Input[dsl.Model], releases: str = "") -> str:
    """Copy a release to the store of all releases, if there is one, and return its URI.

    Args:
        release: Folder with `bundle` and `features`.
        releases: Store of all releases, such as s3://bucket/releases; empty: the release stays in the run's store.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from redrec.bundle.release import publish

    return publish(Path(release.path), releases).upload.url if releases else release.uri
