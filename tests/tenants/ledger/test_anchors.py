"""Heads on their way out of the database, to a file, an authority that stamps, a witness; and what fails on it."""

import errno
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, connections

from tenants.context import tenant_atomic
from tenants.ledger.anchors import FileSink, anchor_tenant
from tenants.ledger.memory import remembered_heads
from tenants.ledger.merkle import verify_consistency
from tenants.ledger.notes import Checkpoint, split_note
from tenants.ledger.signer import sign_log
from tenants.ledger.sinks import Anchored, Head, Sink
from tenants.ledger.timestamps import TimestampSink
from tenants.ledger.witness import SIZE_TYPE, Cosigner, WitnessSink
from tenants.models import LedgerAnchor
from tests.audits.reports.credentials import authority, issue
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.ledger.test_sequencer import drain, grown


@pytest.fixture(autouse=True)
def _signer_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AFFIDAVIT_SIGNER_STATE", str(tmp_path))


@contextmanager
def working() -> Iterator[None]:
    """As the worker does: under its login."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("USER", "PASSWORD"):
            patch.setitem(connection.settings_dict, name, connections["worker"].settings_dict[name])
        connection.close()
        yield
    connection.close()


def anchor(cast: Cast, *sinks: Sink) -> int:
    with working():
        return anchor_tenant(cast.tenant.pk, sinks)


def sign(cast: Cast, records: int = 1) -> None:
    submit(cast, records)
    drain(cast)
    assert sign_log(grown(cast))


def told(cast: Cast) -> list[tuple[str, str, str]]:
    """(sink, state, detail) of every anchor, oldest first."""
    with tenant_atomic(cast.tenant.pk):
        return list(LedgerAnchor.objects.order_by("size", "sink").values_list("sink", "state", "detail"))


@dataclass
class Slow:
    """A sink that does not answer, as often as it is told."""

    failures: int
    name: str = "slow"
    every: timedelta = timedelta(0)

    def anchor(self, head: Head) -> Anchored:
        assert not connection.in_atomic_block, "no transaction waits for somebody outside"
        self.failures -= 1
        if self.failures >= 0:
            raise TimeoutError("timed out")
        return Anchored(b"", "at last")


def test_what_does_not_answer_holds_up_nobody_and_is_asked_again(cast: Cast, tmp_path: Path) -> None:
    """D11: recording and the other sinks go on, the lag is in the rows."""
    sinks: list[Sink] = [Slow(failures=1), FileSink(tmp_path / "anchors")]
    sign(cast)
    assert anchor(cast, *sinks) == 1
    assert [(sink, state) for sink, state, _ in told(cast)] == [("file", "anchored"), ("slow", "failed")]
    assert told(cast)[1][2] == "timed out"
    assert submit(cast)
    assert anchor(cast, *sinks) == 1
    assert told(cast)[1] == ("slow", "anchored", "at last")
    assert anchor(cast, *sinks) == 0, "every sink has the newest head"


def heads_in(folder: Path) -> list[int]:
    return [checkpoint.size for checkpoint, _ in remembered_heads(folder / "checkpoints.jsonl")]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_line_that_could_not_be_written_is_taken_back(
    cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """D5: half a line goes to the disk, then it is full."""
    sinks, write = [FileSink(tmp_path)], os.write
    done: list[bytes] = []

    def half(descriptor: int, data: bytes) -> int:
        if done:
            raise OSError(code, os.strerror(code))
        done.append(data)
        return write(descriptor, data[: len(data) // 2])

    sign(cast)
    anchor(cast, *sinks)
    whole = (tmp_path / "checkpoints.jsonl").read_bytes()
    sign(cast)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        assert anchor(cast, *sinks) == 0
    assert (tmp_path / "checkpoints.jsonl").read_bytes() == whole
    assert anchor(cast, *sinks) == 1
    assert len(heads_in(tmp_path)) == 2


def test_a_line_that_a_crash_cut_short_spoils_no_other(cast: Cast, tmp_path: Path) -> None:
    sign(cast)
    (tmp_path / "checkpoints.jsonl").write_bytes(b'{"at": "2026-11-2')
    anchor(cast, FileSink(tmp_path))
    sign(cast)
    anchor(cast, FileSink(tmp_path))
    assert len(heads_in(tmp_path)) == 2


def test_a_head_is_stamped_by_the_authority_that_is_believed(cast: Cast, tmp_path: Path) -> None:
    root = issue("Root of the tests")
    (tmp_path / "root.pem").write_bytes(root.pem)
    (tmp_path / "other.pem").write_bytes(issue("Another root").pem)
    sign(cast)
    with authority(issue("Clock of the tests", root, stamps=True)) as url:
        assert anchor(cast, TimestampSink(url, tmp_path / "other.pem")) == 0
        assert told(cast)[0][1] == "failed"
        assert anchor(cast, TimestampSink(url, tmp_path / "root.pem")) == 1
    assert told(cast)[0][:2] == ("rfc3161", "anchored")
    sign(cast)
    assert anchor(cast, TimestampSink("http://127.0.0.1:1/", tmp_path / "root.pem")) == 0
    assert len(told(cast)) == 1, "not due within the hour"


@dataclass
class Witness:
    """c2sp.org/tlog-witness, as far as one log needs it."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    size: int = 0
    root: bytes = b""
    behind: timedelta = timedelta(0)  # its clock

    @property
    def cosigner(self) -> Cosigner:
        return Cosigner("witness.example.org", self.key.public_key().public_bytes_raw())

    @property
    def vkey(self) -> str:
        known = self.cosigner
        return f"{known.name}+{known.key_id.hex()}+{b64encode(bytes([4]) + known.public_bytes).decode()}"

    def add(self, body: bytes) -> tuple[int, str, bytes]:
        """(status, content type, body) of an answer to `add-checkpoint`."""
        head, _, note = body.decode().partition("\n\n")
        old, *proof = head.split("\n")
        if int(old.removeprefix("old ")) != self.size:
            return 409, SIZE_TYPE, f"{self.size}\n".encode()
        text = split_note(note)[0]
        checkpoint = Checkpoint.parse(text)
        if self.size:
            nodes = [b64decode(line) for line in proof]
            verify_consistency(self.size, checkpoint.size, self.root, checkpoint.root, nodes)
        self.size, self.root = checkpoint.size, checkpoint.root
        seconds = int((datetime.now(UTC) - self.behind).timestamp())
        signed = self.key.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
        blob = self.cosigner.key_id + seconds.to_bytes(8, "big") + signed
        return 200, "text/plain", f"— {self.cosigner.name} {b64encode(blob).decode()}\n".encode()


@contextmanager
def running(witness: Witness) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, kind, body = witness.add(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_witness_checks_that_each_head_continues_the_last_and_cosigns(cast: Cast) -> None:
    witness = Witness()
    with running(witness) as url:
        sinks = [WitnessSink(url, witness.vkey)]
        for records in (3, 300, 2):
            sign(cast, records)
            assert anchor(cast, *sinks) == 1
        # Somebody who remembers nothing of it is told what it has seen.
        assert anchor(cast, WitnessSink(url, witness.vkey, name="again")) == 1
    assert "cosigned by witness.example.org" in told(cast)[0][2]


def test_a_witness_that_cannot_be_believed_is_not(cast: Cast) -> None:
    sign(cast)
    late, other = Witness(behind=timedelta(hours=1)), Witness()
    with running(late) as url:
        assert anchor(cast, WitnessSink(url, late.vkey)) == 0
        assert "clock" in told(cast)[0][2]
        late.size = 0
        assert anchor(cast, WitnessSink(url, other.vkey)) == 0
        assert "not among the signatures" in told(cast)[0][2]
        late.size = 10**6
        assert anchor(cast, WitnessSink(url, late.vkey)) == 0
    assert "was set back" in told(cast)[0][2]
