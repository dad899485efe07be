"""Certificates of erasure as files: handed out, and kept outside the database for the day that a backup is restored."""

import json
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from audits.lifecycles import ErasureState
from audits.models import Erasure
from audits.workflow import NotAllowed


def certificate_file(row: Erasure) -> bytes:
    """The certificate with the signed note over its digest, as JSON. Raises `NotAllowed` before it is done."""
    if row.state != ErasureState.COMPLETED:
        raise NotAllowed(f"{row.reference} has no certificate before it is completed.")
    document = {"certificate": json.loads(bytes(row.certificate)), "note": row.certificate_note}
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def keep_certificate(row: Erasure) -> None:
    """Write it outside the database, whole or not at all, readable by this account alone."""
    if not settings.AFFIDAVIT_ERASURE_DIR or row.completed_at is None:
        return
    folder = Path(settings.AFFIDAVIT_ERASURE_DIR) / str(row.tenant_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{row.completed_at:%Y%m%dT%H%M%SZ}-{row.reference}.json"
    partial = path.with_suffix(".partial")
    partial.write_bytes(certificate_file(row))
    partial.chmod(0o600)
    partial.replace(path)


def kept_certificates(folder: Path | None = None) -> Iterator[Path]:
    """The files of certificates, the oldest first."""
    place = folder or (Path(settings.AFFIDAVIT_ERASURE_DIR) if settings.AFFIDAVIT_ERASURE_DIR else None)
    yield from sorted(place.rglob("*.json")) if place else ()
