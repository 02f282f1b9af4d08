"""Forget history: a user's events out of the arrays that `redrec.data.histories` opens.

The events that stay keep their parts: what others were trained and tested on does not change.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from redrec.atomic import replaced_folder
from redrec.config import InputError
from redrec.data import columns as c
from redrec.data.forget import Forgotten, Person
from redrec.data.histories import FIELDS, TRAIN, USERS, Histories, events_file
from redrec.data.split import read_split
from redrec.folders import DataFolder
from redrec.history import Ints


def forget_history(data: Path, person: Person) -> Forgotten:
    """Cut the person's events out of the arrays of a data folder.

    Raises:
        InputError: Nobody else has events; a folder without any cannot be opened.
    """
    folder = DataFolder(data).histories
    histories = Histories(data)
    places = _places(histories, data, person)
    if not len(places):
        return Forgotten(0, 0)
    if len(places) == len(histories.item_N):
        raise InputError(f"{data} holds events of user {person.user_id} alone. Remove the folder.")
    with replaced_folder(folder) as fresh:
        for name in FIELDS:
            _cut(getattr(histories, f"{name}_N"), places, events_file(fresh, name))
        pq.write_table(_users(histories, folder, person, places), fresh / USERS)
    return Forgotten(len(places), len(_places(Histories(data), data, person)))


def _places(histories: Histories, data: Path, person: Person) -> Ints:
    """Return where the user's events are in the arrays."""
    if person.user_id not in histories.user_ids:
        return np.arange(0)
    user = histories.user_ids.index(person.user_id)
    places = np.arange(histories.begin_U[user], histories.end_U[user])
    if person.scenario is None:
        return places
    scenarios = read_split(data).scenarios
    return places[[scenarios[number] == person.scenario for number in histories.scenario_N[places]]]


def _cut(values_N: Ints, places: Ints, out: Path) -> None:
    """Write an array without the values at `places`, which lie close together; the others are not held in memory."""
    begin, end = places[0], places[-1] + 1
    with out.open("wb") as file:
        values_N[:begin].tofile(file)
        np.delete(values_N[begin:end], places - begin).tofile(file)
        values_N[end:].tofile(file)


def _users(histories: Histories, folder: Path, person: Person, places: Ints) -> pa.Table:
    """Return the table of users with the counts that stay; a user without events is not among them."""
    users = pq.read_table(folder / USERS)
    is_user_U = pc.equal(users[c.USER_ID], person.user_id).to_numpy()
    num_cut = {"num_events": len(places), "num_train": int(np.count_nonzero(histories.split_N[places] == TRAIN))}
    for name, num in num_cut.items():
        counts_U = users[name].to_numpy() - num * is_user_U
        users = users.set_column(
            users.schema.get_field_index(name), name, pa.array(counts_U, users.schema.field(name).type)
        )
    return users.filter(pc.greater(users["num_events"], 0))
