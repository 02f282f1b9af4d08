"""Forget history: remove a user's events from the arrays that `redrec.data.histories` opens.

The other events keep their split: what others were trained and tested on does not change.

Shapes: U users, N events of all users, E events of one user, F events to remove.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redrec.atomic import replaced_folder
from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.histories import FIELDS, TRAIN, USERS, Histories, events_file
from redrec.data.person import Forgotten, Person
from redrec.data.split import read_split
from redrec.folders import DataFolder
from redrec.history import Ints


def forget_history(data: Path, person: Person) -> Forgotten:
    """Remove the person's events from the arrays of a data folder.

    Raises:
        InputError: Nobody else has events; a folder without events cannot be opened.
    """
    folder = DataFolder(data).histories
    histories = Histories(data)
    index_F = _event_indices(histories, data, person)
    if not len(index_F):
        return Forgotten(0, 0)
    if len(index_F) == len(histories.item_N):
        raise InputError(f"{data} holds events of user {person.user_id} alone. Remove the folder.")
    with replaced_folder(folder) as fresh:
        for name in FIELDS:
            _write_without(getattr(histories, f"{name}_N"), index_F, events_file(fresh, name))
        pq.write_table(_users(histories, folder, person, index_F), fresh / USERS)
    return Forgotten(len(index_F), len(_event_indices(Histories(data), data, person)))


def _event_indices(histories: Histories, data: Path, person: Person) -> Ints:
    """Return the indices of the person's events in the arrays."""
    if person.user_id not in histories.user_ids:
        return np.arange(0)
    user = histories.user_ids.index(person.user_id)
    index_E = np.arange(histories.begin_U[user], histories.end_U[user])
    if person.scenario is None:
        return index_E
    scenarios = read_split(data).scenarios
    return index_E[[scenarios[number] == person.scenario for number in histories.scenario_N[index_E]]]


def _write_without(values_N: Ints, index_F: Ints, out: Path) -> None:
    """Write an array without the values at `index_F`, which are near each other; the others stay out of memory."""
    begin, end = index_F[0], index_F[-1] + 1
    with out.open("wb") as file:
        values_N[:begin].tofile(file)
        np.delete(values_N[begin:end], index_F - begin).tofile(file)
        values_N[end:].tofile(file)


def _users(histories: Histories, folder: Path, person: Person, index_F: Ints) -> pa.Table:
    """Return the table of users with the counts after the removal, without users who have no events left."""
    users = pq.read_table(folder / USERS)
    is_user_U = pc.equal(users[c.USER_ID], person.user_id).to_numpy()
    num_train = int(np.count_nonzero(histories.split_N[index_F] == TRAIN))
    for name, num in {"num_events": len(index_F), "num_train": num_train}.items():
        counts_U = users[name].to_numpy() - num * is_user_U
        users = users.set_column(
            users.schema.get_field_index(name), name, pa.array(counts_U, users.schema.field(name).type)
        )
    return users.filter(pc.greater(users["num_events"], 0))
