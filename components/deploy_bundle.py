"""Step 7, optional: serve a bundle as a KServe InferenceService."""

from kfp import dsl

from components.images import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def deploy_bundle(release: dsl.Input[dsl.Model], namespace: str, name: str = "redrec", timeout_s: int = 600) -> str:
    """Apply the InferenceService for this bundle, wait until it is ready, and return its address.

    Args:
        release: Folder with bundle and features; its URI becomes the service's storageUri.
        namespace: Namespace of the service.
        name: Name of the InferenceService.
        timeout_s: How many seconds to wait until the service is ready.
    """
    from components.start import start_step

    start_step()
    from serving.deploy import deploy

    return deploy(release.uri, name=name, namespace=namespace, timeout_s=timeout_s)
