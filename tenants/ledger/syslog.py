"""Every leaf as a line of syslog, for a SIEM: RFC 5424, framed by RFC 6587 over TCP or RFC 5425 over TLS.

What a line tells: when, which tenant, what kind of event, its place in the log and its digest; of an event of the
product also who did it, and, where the operator asks for it, the event's own words. What went out cannot be erased
there, so these are left out unless asked for; what a decision said never goes out.
"""

import json
import socket
import ssl
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from tenants.context import tenant_atomic
from tenants.ledger.commitments import Leaf, format_received, parse_leaf
from tenants.ledger.merkle import leaf_hash
from tenants.ledger.sinks import TIMEOUT_SECONDS, Anchored, Head
from tenants.ledger.tiles import WIDTH, decode_bundle
from tenants.models import LedgerEvent

PRIORITY = 13 * 8 + 6  # facility "log audit", severity informational
ENTERPRISE = "affidavit@32473"  # the number that RFC 5612 leaves to whoever has none
PORTS = {"tcp": 601, "tls": 6514}


@dataclass(frozen=True, slots=True)
class SyslogSink:
    """`address` is `tcp://host[:port]` or `tls://host[:port]`; `roots`, a PEM file, says whom to believe over TLS.

    At least once: after a failure all lines since the last head that went out whole are sent again; `index` tells them.
    """

    address: str
    roots: Path | None = None
    with_bodies: bool = False
    name: str = "syslog"
    every: timedelta = timedelta(0)

    def anchor(self, head: Head) -> Anchored:
        """Send the leaves since the last head, and end the connection in order, so that a loss is noticed."""
        n_sent = 0
        with self._connected() as connection:
            for ref, bundle in head.bundles():
                first = ref.index * WIDTH
                leaves = [(first + place, data) for place, data in enumerate(decode_bundle(bundle))]
                lines = list(self._lines(head, [one for one in leaves if one[0] >= head.anchored_size]))
                connection.sendall(b"".join(b"%d %s" % (len(line), line) for line in lines))
                n_sent += len(lines)
            _end(connection)
        return Anchored(str(head.size).encode(), f"{n_sent:,} lines to {self.address}")

    def _connected(self) -> socket.socket:
        place = urlsplit(self.address)
        if place.scheme not in PORTS or not place.hostname:
            raise ValueError(f"{self.address} is neither tcp://host nor tls://host")
        plain = socket.create_connection((place.hostname, place.port or PORTS[place.scheme]), TIMEOUT_SECONDS)
        if place.scheme == "tcp":
            return plain
        context = ssl.create_default_context(cafile=str(self.roots) if self.roots else None)
        return context.wrap_socket(plain, server_hostname=place.hostname)

    def _lines(self, head: Head, leaves: list[tuple[int, bytes]]) -> Iterator[bytes]:
        parsed = [(index, data, parse_leaf(data)) for index, data in leaves]
        events = _events(head.tenant_id, [leaf.record_id for _, _, leaf in parsed])
        for index, data, leaf in parsed:
            told: dict[str, object] = {"id": str(leaf.record_id)}
            if leaf.system:
                told["system"] = leaf.system
            if event := events.get(leaf.record_id):
                told["actor"] = event.actor
                if self.with_bodies:
                    told["body"] = json.loads(bytes(event.body))
            yield line(head.tenant_id, head.shard, index, data, leaf, told)


def _events(tenant_id: uuid.UUID, ids: list[uuid.UUID]) -> Mapping[uuid.UUID, LedgerEvent]:
    with tenant_atomic(tenant_id):
        return LedgerEvent.objects.in_bulk(ids)


def line(tenant_id: uuid.UUID, shard: int, index: int, data: bytes, leaf: Leaf, told: Mapping[str, object]) -> bytes:
    """One message (RFC 5424 §6): header, structured data, and JSON behind a byte order mark, as the RFC has it."""
    where = f'tenant="{tenant_id}" shard="{shard}" index="{index}" leaf="{leaf_hash(data).hex()}"'
    header = f"<{PRIORITY}>1 {format_received(leaf.received_at)} - affidavit - {leaf.type[:32]} [{ENTERPRISE} {where}] "
    body = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return header.encode("ascii") + "\ufeff".encode() + body.encode()


def _end(connection: socket.socket) -> None:
    """Wait until the other side has read to the end: a line that is still in a buffer is not one that arrived."""
    if isinstance(connection, ssl.SSLSocket):
        connection = connection.unwrap()
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass
