"""Step 8, optional: serve a bundle as a KServe InferenceService."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def deploy_bundle(
    release: dsl.Input[dsl.Model], uri: str, namespace: str = "", name: str = "redrec", timeout_s: int = 600
) -> str:
    """Point the InferenceService to this bundle, wait until it answers with it, and return its address.

    Args:
        release: Folder with bundle and features.
        uri: Where the service reads this release: its storageUri.
        namespace: Namespace of the service; empty for the run's own.
        name: Name of the InferenceService; it is created if there is none.
        timeout_s: How many seconds to wait until the service answers with the bundle.
    """
    from pathlib import Path

    from components.start import start_step

    start_step()
    from serving.deploy import Release, deploy

    deployed = Release.read(Path(release.path), uri)
    return deploy(deployed, name=name, namespace=namespace or None, timeout_s=timeout_s)
