"""Workspace: snapshots kept in an Evidently workspace, a folder or its service, with a dashboard per scenario.

A scenario has a project of its own, since Evidently's pages freeze at thousands of snapshots in one. The project's id
follows from the scenario's name, and a snapshot replaces one of the same time, so a repeated run leaves no second one.
"""

import logging
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
    from evidently.sdk.models import DashboardModel, ProjectModel

logger = logging.getLogger(__name__)

MAX_SNAPSHOTS = 200  # of a scenario; 234 kB each, and the pages freeze at thousands
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
        InputError: The service does not answer, or does not take a snapshot.
    """
    with evidently():
        import requests
        from evidently.errors import EvidentlyError
        from evidently.sdk.models import ProjectModel

        opened = Service(workspace) if workspace.startswith(URL_SCHEMES) else Folder(workspace)
        try:
            known = opened.projects()
            for name, snapshot in snapshots.items():
                if project_id(name) not in known:
                    opened.add_project(ProjectModel(id=project_id(name), name=label(name)))
                _add(opened, project_id(name), snapshot, keep)
        except (EvidentlyError, requests.RequestException) as error:
            raise InputError(
                f"The workspace {workspace} takes no snapshot: {error}. Set {SECRET} to its secret, and read its log."
            ) from error


def show(snapshots: "Mapping[str, Snapshot]", workspace: str) -> None:
    """Add the snapshots to a workspace if one is given; a failure is logged, since nothing depends on what is shown."""
    if not workspace:
        return
    try:
        add_to_workspace(snapshots, workspace, MAX_SNAPSHOTS)
    except InputError as error:
        logger.error("%s", error)


def project_id(scenario: str) -> uuid.UUID:
    return uuid.uuid5(PROJECTS, scenario)


def _add(workspace: "Folder | Service", project: uuid.UUID, snapshot: "Snapshot", keep: int) -> None:
    new = workspace.add(project, snapshot)
    for old in _outdated(workspace.kept(project), new, keep):
        workspace.delete(project, old)
    workspace.save_dashboard(project, with_own_tab(workspace.dashboard(project), snapshot))


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


class Folder:
    """A folder of JSON files, which a service that is started on it follows.

    Evidently's own class for it reads all snapshots of all projects first, and fails at a broken one.
    """

    def __init__(self, path: str) -> None:
        from evidently.ui.storage.local.base import LocalState

        self.state = LocalState(path)

    def projects(self) -> set[uuid.UUID]:
        return set(self.state.list_projects())

    def add_project(self, project: "ProjectModel") -> None:
        self.state.write_project(project)

    def add(self, project: uuid.UUID, snapshot: "Snapshot") -> uuid.UUID:
        new = uuid.uuid4()
        self.state.write_snapshot(project, new, snapshot.to_snapshot_model())
        return new

    def kept(self, project: uuid.UUID) -> list[KeptSnapshot]:
        """Return the snapshots; remove one that a killed run wrote in part, since no service starts with it."""
        kept = []
        for snapshot in self.state.list_snapshots(project):
            try:
                kept.append(KeptSnapshot(self.state.read_snapshot(project, snapshot).timestamp, snapshot))
            except ValueError:
                self.delete(project, snapshot)
        return kept

    def delete(self, project: uuid.UUID, snapshot: uuid.UUID) -> None:
        self.state.delete_snapshot(project, snapshot)

    def dashboard(self, project: uuid.UUID) -> "DashboardModel":
        return self.state.read_dashboard(project)

    def save_dashboard(self, project: uuid.UUID, dashboard: "DashboardModel") -> None:
        self.state.write_dashboard(project, dashboard)


class Service:
    """Evidently's service; its client can neither list nor delete snapshots, and takes no unknown project."""

    def __init__(self, url: str) -> None:
        import requests
        from evidently.ui.workspace import RemoteWorkspace

        try:
            self.client = RemoteWorkspace(url, os.environ.get(SECRET))
        except (requests.RequestException, ValueError) as error:
            raise InputError(
                f"The workspace {url} does not answer as Evidently's service: {error}. Give the URL of one that "
                "runs, or a folder."
            ) from error

    def projects(self) -> set[uuid.UUID]:
        return {project.id for project in self.client.list_projects()}

    def add_project(self, project: "ProjectModel") -> None:
        self.client.add_project(project)

    def add(self, project: uuid.UUID, snapshot: "Snapshot") -> uuid.UUID:
        new: uuid.UUID = self.client.add_run(project, snapshot).id
        return new

    def kept(self, project: uuid.UUID) -> list[KeptSnapshot]:
        answer: list[dict[str, Any]] = self.client._request(f"/api/projects/{project}/snapshots", "GET").json()
        return [KeptSnapshot(datetime.fromisoformat(one["timestamp"]), uuid.UUID(one["id"])) for one in answer]

    def delete(self, project: uuid.UUID, snapshot: uuid.UUID) -> None:
        self.client._request(f"/api/projects/{project}/{snapshot}", "DELETE")

    def dashboard(self, project: uuid.UUID) -> "DashboardModel":
        return self.client.get_dashboard(project)

    def save_dashboard(self, project: uuid.UUID, dashboard: "DashboardModel") -> None:
        self.client.save_dashboard(project, dashboard)
