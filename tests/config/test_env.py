"""Secrets from the environment or from a file, as text or as they are."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import env_secret, env_secret_bytes


def test_a_secret_in_a_file_may_be_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.p12").write_bytes(b"\x30\x82\xff\n")
    monkeypatch.setenv("AFFIDAVIT_TRIED_FILE", str(tmp_path / "key.p12"))
    assert env_secret_bytes("AFFIDAVIT_TRIED") == b"\x30\x82\xff\n"
    monkeypatch.setenv("AFFIDAVIT_TRIED", "text")
    assert env_secret_bytes("AFFIDAVIT_TRIED") == b"text"
    assert env_secret("AFFIDAVIT_TRIED") == "text"


def test_one_that_is_not_set_is_none_and_one_that_cannot_be_read_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env_secret_bytes("AFFIDAVIT_TRIED") is None
    monkeypatch.setenv("AFFIDAVIT_TRIED_FILE", "/nowhere")
    for read in (env_secret, env_secret_bytes):
        with pytest.raises(ImproperlyConfigured, match="AFFIDAVIT_TRIED_FILE"):
            read("AFFIDAVIT_TRIED")
