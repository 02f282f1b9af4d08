"""Exposures in files: whole rows, rotation, and what is lost when the queue or the disk is full."""

import resource
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from redrec.config import InputError
from redrec.data.tables import connect, read
from serving import exposures
from serving.exposures import (
    EXPOSURES,
    INTERLEAVED,
    NOT_WRITTEN,
    QUEUE_FULL,
    WRITTEN,
    Exposure,
    ExposureFiles,
    ExposureLog,
    InterleavedItem,
    check_folder,
)

HOSTILE = ['a"b', "a,b", "=1+1", "a'b", "007", "null", "NaN", "\\", '"', "日本", "a;b|c", "#x", "a\nb", 'a"\r\n",b']


def row(number: int, user: str = "u") -> Exposure:
    return Exposure(f"e{number}", "towers-2", user, "ads", "control", "2026-11-02T00:00:00.000+00:00", "b1", "p1")


def counted(outcome: str) -> float:
    return EXPOSURES.labels(outcome)._value.get()


def rows_in(folder: Path) -> pa.Table:
    return read(connect(), folder, "exposures").order_by("exposure_id").to_pyarrow()


def test_rows_come_back_as_they_were_and_texts_cannot_break_a_file(tmp_path: Path):
    log = ExposureLog(ExposureFiles(tmp_path / "new" / "folder"))
    rows = [row(10 + number, user) for number, user in enumerate(HOSTILE)]
    rows += [Exposure("e99", *[HOSTILE[-1]] * 4, rows[0].timestamp, HOSTILE[0], HOSTILE[1])]
    assert all(log.add(one) for one in rows)
    log.close()
    assert [tuple(one.values()) for one in rows_in(tmp_path / "new" / "folder").to_pylist()] == rows


def test_a_large_and_an_old_file_are_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exposures, "GATHER_S", 0.0)
    for folder, limits in (("large", {"max_bytes": 2_000}), ("old", {"max_age_s": 0.0})):
        log = ExposureLog(ExposureFiles(tmp_path / folder, **limits))
        for number in range(100):
            log.add(row(100 + number))
            while not log.queue.empty():
                threading.Event().wait(0.001)
        log.close()
        sizes = [file.stat().st_size for file in (tmp_path / folder).iterdir()]
        assert len(sizes) >= 4 and max(sizes) <= 2_000
        assert rows_in(tmp_path / folder)["exposure_id"].to_pylist() == [f"e{100 + number}" for number in range(100)]


def test_two_logs_share_a_folder(tmp_path: Path):
    logs = [ExposureLog(ExposureFiles(tmp_path)) for _ in range(2)]
    for number in range(10):
        logs[number % 2].add(row(number))
    for log in logs:
        log.close()
    assert rows_in(tmp_path).num_rows == 10 and len(list(tmp_path.iterdir())) == 2


def test_a_full_queue_loses_rows_counts_them_and_never_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exposures, "GATHER_S", 0.5)
    log, before, written = ExposureLog(ExposureFiles(tmp_path), max_queued=20), counted(QUEUE_FULL), counted(WRITTEN)
    kept = sum(log.add(row(number)) for number in range(1000))
    assert 20 <= kept < 1000
    assert counted(QUEUE_FULL) - before == 1000 - kept
    log.close()
    assert rows_in(tmp_path).num_rows == kept == counted(WRITTEN) - written


def test_the_rows_of_one_answer_are_written_or_lost_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exposures, "GATHER_S", 0.5)
    log, before = ExposureLog(ExposureFiles(tmp_path), max_queued=5, counter=INTERLEAVED), lists_counted(QUEUE_FULL)
    answers = [
        [
            InterleavedItem(f"r{n}", "towers-2", "u", "ads", f"i{position}", "", str(position), "2026", "p1")
            for position in (1, 2, 3)
        ]
        for n in range(50)
    ]
    kept = [log.add(*rows) for rows in answers]
    log.close()
    expected = [row for rows, is_kept in zip(answers, kept, strict=True) if is_kept for row in rows]
    written = read(connect(), tmp_path, "shown lists").to_pyarrow()
    assert written.column_names == list(InterleavedItem._fields)
    assert sorted(zip(written["request_id"].to_pylist(), written["item_id"].to_pylist(), strict=True)) == sorted(
        (row.request_id, row.item_id) for row in expected
    )
    assert 5 <= sum(kept) < 50 and lists_counted(QUEUE_FULL) - before == 3 * (50 - sum(kept))


def lists_counted(outcome: str) -> float:
    return INTERLEAVED.labels(outcome)._value.get()


def test_a_full_disk_loses_whole_rows_and_writing_goes_on_when_there_is_room(tmp_path: Path):
    """The limit of a file's size is a disk that takes a part of a write and then nothing."""
    log, before = ExposureLog(ExposureFiles(tmp_path)), counted(NOT_WRITTEN)
    log.add(row(100))
    wait_for(lambda: log.queue.empty() and any(tmp_path.iterdir()) and rows_in(tmp_path).num_rows == 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
    try:
        for number in range(50):
            log.add(row(200 + number))
        wait_for(lambda: counted(NOT_WRITTEN) - before == 50)
        log.add(row(300))
        wait_for(lambda: counted(NOT_WRITTEN) - before == 50 and log.queue.empty())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.add(row(400))
    log.close()
    lost = counted(NOT_WRITTEN) - before
    ids = rows_in(tmp_path)["exposure_id"].to_pylist()
    assert ids[0] == "e100" and ids[-1] == "e400" and len(ids) + lost == 53


def test_a_folder_that_becomes_a_file_or_is_removed_loses_rows_only_until_it_is_back(tmp_path: Path):
    folder, before = tmp_path / "exposures", counted(NOT_WRITTEN)
    log = ExposureLog(ExposureFiles(folder))
    log.add(row(1))
    wait_for(lambda: folder.is_dir() and any(folder.iterdir()))
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("no folder")
    log.add(row(2))
    wait_for(lambda: counted(NOT_WRITTEN) - before == 1)
    folder.unlink()
    log.add(row(3))
    log.close()
    assert rows_in(folder)["exposure_id"].to_pylist() == ["e3"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path):
    check_folder(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written to .*file.*Give a folder"):
        check_folder(tmp_path / "file")
    with pytest.raises(InputError, match="has no file with rows"):
        rows_in(tmp_path / "new")


def wait_for(condition) -> None:
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not happen within 10 s")
