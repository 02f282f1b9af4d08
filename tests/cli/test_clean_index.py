"""`redrec clean-index`: what it needs to know before it asks the server."""

import pytest

from cli.main import main


def test_it_needs_the_address_and_sensible_numbers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("REDREC_MILVUS_URI", raising=False)
    assert main(["clean-index", "--keep", "1", "--served", "none"]) == 2
    assert "REDREC_MILVUS_URI is not set" in capsys.readouterr().err
    monkeypatch.setenv("REDREC_MILVUS_URI", "http://milvus:19530")
    for words in (["--keep", "-1"], ["--keep", "1", "--min-age-hours", "-2"]):
        assert main(["clean-index", *words, "--served", "none"]) == 2
        assert "give 0 or more" in capsys.readouterr().err


def test_what_is_served_is_asked_before_the_server(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """A storageUri of a claim has no id in it."""
    monkeypatch.setenv("REDREC_MILVUS_URI", "http://127.0.0.1:1")
    assert main(["clean-index", "--keep", "1", "--served", "pvc://runs/demo"]) == 2
    assert "names no bundle" in capsys.readouterr().err


def test_without_what_is_served_nothing_is_dropped(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main(["clean-index", "--keep", "1", "--served"])
    assert stopped.value.code == 2
