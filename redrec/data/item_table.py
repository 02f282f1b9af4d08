"""Item table: new rows of a catalog, without events, checked as a run checks its item table."""

from pathlib import Path
from tempfile import TemporaryDirectory

from redrec.config import InputError
from redrec.data.inputs import read_input
from redrec.data.items import unknown_scenarios
from redrec.data.prepare import DataConfig, checked_catalog, write_items
from redrec.data.quality import TableQuality
from redrec.data.sources import Source
from redrec.data.tables import connect


def write_item_table(source: Source, path: Path, config: DataConfig, scenarios: tuple[str, ...]) -> TableQuality:
    """Write the good rows of an item table to a Parquet file, in the order of ids, and return the counts.

    Args:
        source: A path, a URL or a data frame, see `redrec.data.sources`.
        path: The file to write.
        config: How the run read its tables.
        scenarios: Those of the run; an item that names none may be shown in all.

    Raises:
        InputError: The table cannot be read, too many rows are bad, or an item names a scenario that the run has not.
    """
    with TemporaryDirectory() as scratch:
        connection = connect(config.engine, Path(scratch))
        given = read_input(connection, source, "items", config.choices, Path(scratch))
        items, _, quality = checked_catalog(connection, given, Path(scratch), config)
        write_items(items, scenarios, path)
    if unknown := unknown_scenarios(path, scenarios):
        raise InputError(
            f"items: scenario {', '.join(unknown)} is unknown to the model, which has {', '.join(scenarios)}. Correct "
            "the column scenarios, or train a model with events of the new scenario."
        )
    return quality
