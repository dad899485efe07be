"""A line a leaf, read by a server as RFC 6587 and RFC 5425 frame it and RFC 5424 writes it."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tenants.context import tenant_atomic
from tenants.ledger.anchors import configured_sinks
from tenants.ledger.merkle import leaf_hash
from tenants.ledger.syslog import SyslogSink
from tenants.models import LedgerEvent, LedgerLeaf
from tests.audits.reports.credentials import Issued, issue
from tests.factories.tenants import Cast
from tests.tenants.ledger.test_anchors import anchor, sign, told

# RFC 5424 §6: PRI VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID SD MSG
FORM = re.compile(
    r"<110>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) - affidavit - ([!-~]{1,32}) "
    r'\[affidavit@32473 tenant="([0-9a-f-]{36})" shard="1" index="(\d+)" leaf="([0-9a-f]{64})"\] \ufeff(\{.*\})'
)


@pytest.fixture(autouse=True)
def _signer_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AFFIDAVIT_SIGNER_STATE", str(tmp_path))


@dataclass
class Siem:
    """A server that keeps what came; `after`: it hangs up when it has read so many bytes, once."""

    address: str = ""
    received: bytearray = field(default_factory=bytearray)
    after: int = 0

    @property
    def lines(self) -> list[str]:
        """The messages, by their octet counts."""
        found, rest = [], bytes(self.received)
        while rest:
            size, rest = rest.split(b" ", 1)
            found.append(rest[: int(size)].decode())
            rest = rest[int(size) :]
        return found

    @property
    def told(self) -> list[tuple[str, int, str, dict[str, Any]]]:
        """(kind, index, leaf hash, JSON) of each message."""
        matches = [FORM.fullmatch(line) for line in self.lines]
        assert all(matches), self.lines
        return [(match[2], int(match[4]), match[5], json.loads(match[6])) for match in matches if match]


@contextmanager
def siem(own: Issued | None = None, folder: Path | None = None) -> Iterator[Siem]:
    listener = socket.create_server(("localhost", 0))
    server = Siem(f"{'tls' if own else 'tcp'}://localhost:{listener.getsockname()[1]}")
    context = None
    if own and folder:
        (folder / "siem.pem").write_bytes(own.key_pem + own.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "siem.pem")

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) if context else connection as spoken:
                    _read(spoken, server)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    yield server
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _read(connection: socket.socket, server: Siem) -> None:
    while data := connection.recv(65536):
        if server.after:
            server.after = 0
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not an end
            return
        server.received += data
    if isinstance(connection, ssl.SSLSocket):
        connection.unwrap()


def test_every_leaf_is_a_line_and_none_comes_twice(cast: Cast) -> None:
    with siem() as server:
        sink = SyslogSink(server.address)
        sign(cast, 300)
        assert anchor(cast, sink) == 1
        n_first = len(server.told)
        sign(cast, 2)
        assert anchor(cast, sink) == 1
        assert anchor(cast, sink) == 0  # nothing new
    with tenant_atomic(cast.tenant.pk):
        rows = LedgerLeaf.objects.order_by("leaf_index").values_list("leaf_index", "leaf")
        assert [one[1:3] for one in server.told] == [(index, leaf_hash(bytes(leaf)).hex()) for index, leaf in rows]
    assert told(cast)[0][2] == f"{n_first:,} lines to {server.address}"


@pytest.mark.parametrize("with_bodies", [False, True])
def test_an_event_says_who_did_it_and_if_asked_what(cast: Cast, with_bodies: bool) -> None:
    with siem() as server:
        sign(cast)
        anchor(cast, SyslogSink(server.address, with_bodies=with_bodies))
    with tenant_atomic(cast.tenant.pk):
        events = {str(event.pk): event for event in LedgerEvent.objects.all()}
    spoken = {said["id"]: said for _, _, _, said in server.told}
    assert events.keys() <= spoken.keys()
    for pk, event in events.items():
        assert spoken[pk]["actor"] == event.actor
        assert spoken[pk].get("body") == (json.loads(bytes(event.body)) if with_bodies else None)
    (decision,) = [said for kind, _, _, said in server.told if kind == "decision"]
    assert decision.keys() == {"id", "system"}


def test_over_tls_only_whom_the_roots_name_is_told(cast: Cast, tmp_path: Path) -> None:
    root, other = issue("root"), issue("other")
    (tmp_path / "root.crt").write_bytes(root.pem)
    sign(cast)
    for signer, held in ((other, 0), (root, 1)):
        with siem(issue("localhost", signer), tmp_path) as server:
            assert anchor(cast, SyslogSink(server.address, tmp_path / "root.crt")) == held
            assert bool(server.received) == bool(held)
    assert [state for _, state, _ in told(cast)] == ["anchored"]


def test_what_did_not_arrive_is_sent_again(cast: Cast) -> None:
    with siem() as server:
        sink = SyslogSink(server.address)
        sign(cast, 40)
        server.after = 1
        assert anchor(cast, sink) == 0
        assert server.lines == []
        assert anchor(cast, sink) == 1
        assert [index for _, index, _, _ in server.told] == list(range(len(server.told)))


def test_an_address_of_another_kind_is_refused(cast: Cast) -> None:
    sign(cast)
    assert anchor(cast, SyslogSink("udp://localhost")) == 0
    assert "neither tcp" in told(cast)[0][2]


def test_the_settings_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "AFFIDAVIT_ANCHOR_DIR", "")
    monkeypatch.setattr(settings, "AFFIDAVIT_SYSLOG", "tls://siem.example")
    monkeypatch.setattr(settings, "AFFIDAVIT_SYSLOG_ROOTS", "/etc/siem.pem")
    assert configured_sinks() == [SyslogSink("tls://siem.example", Path("/etc/siem.pem"))]
