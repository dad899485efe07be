"""Places outside the database that hold our heads, so that a rewritten log meets its own past.

A sink takes a signed head and answers with something to keep: a position in a file, a time-stamp token (RFC 3161), a
witness's cosignature (c2sp.org/tlog-witness), the version of a locked object, the size up to which lines went out.
Anchoring never holds up recording: a sink that fails is tried again at the next round, and its lag is seen in its
`LedgerAnchor` rows.
"""

import fcntl
import io
import json
import logging
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tenants.context import tenant_atomic
from tenants.ledger import reader
from tenants.ledger.locked import LockedSink
from tenants.ledger.sinks import Anchored, Head, Sink
from tenants.ledger.syslog import SyslogSink
from tenants.ledger.timestamps import TimestampSink
from tenants.ledger.witness import WitnessSink
from tenants.models import AnchorState, LedgerAnchor

DETAIL_CHARACTERS = 500
logger = logging.getLogger("affidavit.anchors")


@dataclass(frozen=True, slots=True)
class FileSink:
    """One JSON line a head, appended and synced, in a folder on another volume.

    A line is whole or not there: what could not be written is taken back, and what a crash cut short is ended first.
    """

    folder: Path
    name: str = "file"
    every: timedelta = timedelta(0)

    def anchor(self, head: Head) -> Anchored:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / "checkpoints.jsonl"
        line = json.dumps({"at": datetime.now(UTC).isoformat(), "tenant": str(head.tenant_id), "note": head.note})
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            position = _end(file)
            try:
                _write_whole(file.fileno(), line.encode() + b"\n")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(position)
                raise
        return Anchored(str(position).encode(), f"{path} at byte {position:,}")


def _end(file: io.FileIO) -> int:
    """Where the next line begins: behind the last, which gets its end if a crash took it."""
    position = file.seek(0, os.SEEK_END)
    if position:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            _write_whole(file.fileno(), b"\n")
            position += 1
    return position


def _write_whole(descriptor: int, data: bytes) -> None:
    """A disk that fills up takes a part first, and refuses the rest."""
    while data:
        data = data[os.write(descriptor, data) :]


def configured_sinks() -> list[Sink]:
    """The sinks that the settings name."""
    sinks: list[Sink] = []
    if settings.AFFIDAVIT_ANCHOR_DIR:
        sinks.append(FileSink(Path(settings.AFFIDAVIT_ANCHOR_DIR)))
    if settings.AFFIDAVIT_TSA_URL:
        if not settings.AFFIDAVIT_TSA_ROOTS:
            raise ImproperlyConfigured("AFFIDAVIT_TSA_ROOTS says whose time stamps to believe; set it too.")
        sinks.append(TimestampSink(settings.AFFIDAVIT_TSA_URL, Path(settings.AFFIDAVIT_TSA_ROOTS)))
    if settings.AFFIDAVIT_WITNESS_URL:
        if not settings.AFFIDAVIT_WITNESS_VKEY:
            raise ImproperlyConfigured("AFFIDAVIT_WITNESS_VKEY says whose cosignature to believe; set it too.")
        sinks.append(WitnessSink(settings.AFFIDAVIT_WITNESS_URL, settings.AFFIDAVIT_WITNESS_VKEY))
    if settings.AFFIDAVIT_S3_BUCKET:
        retain = timedelta(days=settings.AFFIDAVIT_S3_RETAIN_DAYS)
        place = (settings.AFFIDAVIT_S3_BUCKET, settings.AFFIDAVIT_S3_PREFIX, settings.AFFIDAVIT_S3_ENDPOINT)
        sinks.append(LockedSink(*place, retain))
    if settings.AFFIDAVIT_SYSLOG:
        roots = Path(settings.AFFIDAVIT_SYSLOG_ROOTS) if settings.AFFIDAVIT_SYSLOG_ROOTS else None
        sinks.append(SyslogSink(settings.AFFIDAVIT_SYSLOG, roots, settings.AFFIDAVIT_SYSLOG_BODIES))
    return sinks


def anchor_tenant(tenant_id: uuid.UUID, sinks: Sequence[Sink], now: datetime | None = None) -> int:
    """Give the tenant's newest head to every sink that is due; returns how many took it.

    No transaction is open while a sink works, and one that fails does not keep the head from the others.
    """
    moment = now or datetime.now(UTC)
    return sum(_anchor(head, sink, moment) for sink in sinks if (head := _due(tenant_id, sink, moment)))


def _due(tenant_id: uuid.UUID, sink: Sink, now: datetime) -> Head | None:
    """The newest head, unless the sink has it already or was given one within its interval."""
    with tenant_atomic(tenant_id):
        newest = reader.latest_checkpoint()
        if newest is None:
            return None
        held = LedgerAnchor.objects.filter(sink=sink.name, shard=newest.shard, state=AnchorState.ANCHORED)
        last = held.order_by("-size").first()
    if last is not None and (last.size >= newest.size or (last.tried_at and now - last.tried_at < sink.every)):
        return None
    return Head(tenant_id, newest.shard, newest.size, newest.note, last.size if last else 0)


def _anchor(head: Head, sink: Sink, now: datetime) -> bool:
    try:
        answer = sink.anchor(head)
    except (OSError, ValueError) as error:
        logger.warning("anchor %s failed for tenant %s: %s", sink.name, head.tenant_id, error)
        _keep(head, sink, AnchorState.FAILED, Anchored(b"", str(error)), now)
        return False
    _keep(head, sink, AnchorState.ANCHORED, answer, now)
    return True


def _keep(head: Head, sink: Sink, state: AnchorState, answer: Anchored, now: datetime) -> None:
    with tenant_atomic(head.tenant_id):
        LedgerAnchor.objects.update_or_create(
            shard=head.shard,
            size=head.size,
            sink=sink.name,
            defaults={
                "state": state,
                "proof": answer.proof,
                "detail": answer.detail[:DETAIL_CHARACTERS],
                "tried_at": now,
            },
        )
