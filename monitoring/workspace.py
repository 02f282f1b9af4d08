"""Workspace: snapshots kept in an Evidently workspace, a folder or its service, with a dashboard per scenario.

A scenario has a project of its own, since Evidently's pages freeze at thousands of snapshots in one. The project's id
follows from the scenario's name, and a snapshot replaces one of the same time, so a repeated run leaves no second one.
"""

import os
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from monitoring.dashboard import with_own_tab
from monitoring.snapshots import evidently
from monitoring.texts import label
from redrec.config import InputError

if TYPE_CHECKING:
    from evidently.core.report import Snapshot
    from evidently.ui.workspace import RemoteWorkspace, Workspace

SECRET = "EVIDENTLY_SECRET"  # as Evidently's own service names it
URL_SCHEMES = ("http://", "https://")
PROJECTS = uuid.UUID("5f0e1c0a-7f0b-4c0e-9a43-8d1d2a5b6c7e")  # of the ids of projects; any fixed one


class KeptSnapshot(NamedTuple):
    """A snapshot in a workspace."""

    timestamp: datetime
    id: uuid.UUID


def add_to_workspace(snapshots: "Mapping[str, Snapshot]", workspace: str, keep: int) -> None:
    """Add the snapshots to the folder or the service at `workspace`, and remove all but the newest `keep` of each.

    The service takes the secret in the environment variable SECRET.

    Raises:
        InputError: The service does not answer, or refuses.
    """
    with evidently():
        from evidently.errors import EvidentlyError
        from evidently.sdk.models import ProjectModel

        opened = _open(workspace)
        known = {
            project.id for project in opened.list_projects()
        }  # the service's get_project raises for an unknown one
        try:
            for name, snapshot in snapshots.items():
                if project_id(name) not in known:
                    opened.add_project(ProjectModel(id=project_id(name), name=label(name)))
                _add(opened, project_id(name), snapshot, keep)
        except EvidentlyError as error:
            raise InputError(f"Evidently's service refuses a snapshot: {error}. Set {SECRET} to its secret.") from error


def project_id(scenario: str) -> uuid.UUID:
    return uuid.uuid5(PROJECTS, scenario)


def _open(workspace: str) -> "Workspace | RemoteWorkspace":
    import requests
    from evidently.ui.workspace import RemoteWorkspace, Workspace

    if not workspace.startswith(URL_SCHEMES):
        return Workspace.create(workspace)
    try:
        return RemoteWorkspace(workspace, os.environ.get(SECRET))
    except (requests.RequestException, ValueError) as error:
        raise InputError(
            f"The workspace {workspace} does not answer as Evidently's service: {error}. Give the URL of one that "
            "runs, or a folder."
        ) from error


def _add(workspace: "Workspace | RemoteWorkspace", project: uuid.UUID, snapshot: "Snapshot", keep: int) -> None:
    new = workspace.add_run(project, snapshot, include_data=False).id
    for old in _outdated(_kept(workspace, project), new, keep):
        _delete(workspace, project, old)
    workspace.save_dashboard(project, with_own_tab(workspace.get_dashboard(project), snapshot))


def _outdated(kept: list[KeptSnapshot], new: uuid.UUID, keep: int) -> list[uuid.UUID]:
    """Return the snapshots to remove: those that `new` replaces, and the oldest ones beyond `keep`.

    >>> first, second, third = (uuid.UUID(int=number) for number in range(3))
    >>> week = datetime(2026, 1, 5)
    >>> kept = [KeptSnapshot(datetime(2026, 1, 1), first), KeptSnapshot(week, second), KeptSnapshot(week, third)]
    >>> _outdated(kept, third, keep=9) == [second], _outdated(kept, third, keep=1) == [second, first]
    (True, True)
    """
    (time,) = (one.timestamp for one in kept if one.id == new)
    replaced = [one.id for one in kept if one.timestamp == time and one.id != new]
    others = sorted((one for one in kept if one.id not in replaced), reverse=True)
    return replaced + [one.id for one in others[keep:]]


def _kept(workspace: "Workspace | RemoteWorkspace", project: uuid.UUID) -> list[KeptSnapshot]:
    """Return the snapshots of a project; in a folder, remove one that a killed run has written in part.

    The service does not start on a folder with such a file.
    """
    from evidently.ui.workspace import RemoteWorkspace

    if isinstance(workspace, RemoteWorkspace):  # whose list_runs is not implemented
        answer: list[dict[str, Any]] = workspace._request(f"/api/projects/{project}/snapshots", "GET").json()
        return [KeptSnapshot(datetime.fromisoformat(one["timestamp"]), uuid.UUID(one["id"])) for one in answer]
    kept = []
    for snapshot in workspace.list_runs(project):
        try:
            kept.append(KeptSnapshot(workspace.get_run(project, snapshot).timestamp, uuid.UUID(str(snapshot))))
        except ValueError:
            workspace.delete_run(project, snapshot)
    return kept


def _delete(workspace: "Workspace | RemoteWorkspace", project: uuid.UUID, snapshot: uuid.UUID) -> None:
    from evidently.ui.workspace import RemoteWorkspace

    if isinstance(workspace, RemoteWorkspace):  # whose delete_run is not implemented
        workspace._request(f"/api/projects/{project}/{snapshot}", "DELETE")
    else:
        workspace.delete_run(project, snapshot)
