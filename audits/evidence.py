"""Files of evidence: taken in, handed out, superseded; each step of their custody is a leaf."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Max, QuerySet

from audits.access import auditors_in, finding_parties, request_parties, visible_cases
from audits.filetypes import Refused, media_type, safe_name
from audits.lifecycles import Party
from audits.models import Case, CaseEvent, CaseItem, EvidenceContent, EvidenceFile, EvidenceRequest, Finding
from audits.requests import UNANSWERED
from audits.selectors import items_of
from audits.timeline import open_to_change, record, refuse
from audits.workflow import State
from tenants import crypto
from tenants.access import get_row
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import uuid7_now

LABEL = "evidence"  # of the key that seals files
CLOSED_TO_FILES = frozenset({State.ON_HOLD, State.CANCELLED, State.CLOSED, State.PENDING_SIGNOFF})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it comes in: the name it was given, its bytes, where the collector had it from."""

    name: str
    data: bytes
    source: str = ""
    expires: date | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What a file is evidence for; all None: the case as a whole."""

    request: EvidenceRequest | None = None
    item: CaseItem | None = None
    finding: Finding | None = None
    supersedes: EvidenceFile | None = None


def place_in(
    case: Case,
    *,
    request: int | None = None,
    item: int | None = None,
    finding: int | None = None,
    supersedes: int | None = None,
) -> Place:
    """The place that numbers name, as people know them. Raises `ValidationError`, by member, for one that is none."""
    asked: dict[str, tuple[QuerySet[Any], str, int | None]] = {
        "request": (case.requests.all(), "number", request),
        "item": (items_of(case), "ordinal", item),
        "finding": (case.findings.all(), "number", finding),
        "supersedes": (EvidenceFile.objects.filter(case=case), "number", supersedes),
    }
    found = {name: rows.filter(**{key: n}).first() for name, (rows, key, n) in asked.items() if n is not None}
    if missing := {name: f"This case has none of number {asked[name][2]}." for name, row in found.items() if not row}:
        raise ValidationError(missing)
    return Place(**found)


def add_evidence(*, by: Actor, case: Case, upload: Upload, place: Place | None = None) -> EvidenceFile:
    """Keep a file: its type by its bytes, its SHA-256 in the ledger. Raises `ValidationError` for one not taken."""
    at = place or Place()
    try:
        name, kind = safe_name(upload.name), media_type(upload.data)
    except Refused as error:
        raise ValidationError({"file": str(error)}) from None
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        _require_may_add(locked, by, at)
        row = _new_row(locked, by, at, replace(upload, name=name), kind)
        row.full_clean(exclude=["case", "request", "item", "finding", "supersedes", "tenant"])
        row.save(force_insert=True)
        bound = _bound_to(row)
        EvidenceContent.objects.create(id=row.pk, sealed=crypto.seal(_key(by.tenant_id), upload.data, bound))
        record(
            locked, by, Tag.EVIDENCE_ADDED, _body(row, at), action="collected", note=row.name, about=row,
            data=_superseded(at),
        )  # fmt: skip
    return row


def _new_row(case: Case, by: Actor, at: Place, upload: Upload, kind: str) -> EvidenceFile:
    last = EvidenceFile.objects.filter(case=case).aggregate(last=Max("number"))["last"]
    return EvidenceFile(
        id=uuid7_now(),
        case=case,
        request=at.request,
        item=at.item,
        finding=at.finding,
        supersedes=at.supersedes,
        number=(last or 0) + 1,
        name=upload.name,
        media_type=kind,
        bytes=len(upload.data),
        sha256=hashlib.sha256(upload.data).digest(),
        source=upload.source.strip(),
        expires=upload.expires,
        revision=case.revision,
        follows=case.sealed_revision,
        collected_by=by.reference,
        collected_label=by.label,
    )


def _require_may_add(case: Case, by: Actor, at: Place) -> None:
    """Auditors add to the case; who was asked, to the request; who owns a finding, to that; a guest, to theirs."""
    if case.state in CLOSED_TO_FILES:
        raise refuse(case, by, f"A case that is {case.get_state_display().lower()} takes no files.")
    members = (at.request, at.item, at.finding, at.supersedes)
    if any(member is not None and member.case_id != case.pk for member in members):
        raise refuse(case, by, "This belongs to another case.")
    if at.supersedes is not None and EvidenceFile.objects.filter(supersedes=at.supersedes).exists():
        raise refuse(case, by, f"{at.supersedes.reference} was superseded already; supersede the newest one.")
    asked = at.request is not None and at.request.state in UNANSWERED
    may = (
        auditors_in(case, by)
        or (asked and Party.ADDRESSEE in request_parties(case, by)(at.request))  # type: ignore[arg-type]
        or (at.finding is not None and Party.OWNER in finding_parties(case, by)(at.finding))
        or by.may("case.comment")
    )
    if not may:
        raise PermissionDenied("This case takes evidence from its auditors, and from those who were asked for it.")


def _body(row: EvidenceFile, at: Place) -> dict[str, Any]:
    return {
        "file": row.number,
        "name": row.name,
        "media_type": row.media_type,
        "bytes": row.bytes,
        "sha256": bytes(row.sha256).hex(),
        "source": row.source,
        "request": at.request.number if at.request else None,
        "item": at.item.ordinal if at.item else None,
        "finding": at.finding.number if at.finding else None,
    }


def _superseded(at: Place) -> dict[str, Any]:
    return {"supersedes": at.supersedes.number} if at.supersedes else {}


def _key(tenant_id: uuid.UUID) -> bytes:
    return crypto.derive(crypto.tenant_key(tenant_id), LABEL)


def _bound_to(row: EvidenceFile) -> bytes:
    return b"evidence" + row.tenant_id.bytes + row.pk.bytes


def files_of(case: Case) -> "QuerySet[EvidenceFile]":
    """Every file of a case, superseded ones too, with what replaced each."""
    rows = EvidenceFile.objects.filter(case=case).select_related("request", "item", "finding", "supersedes")
    return rows.prefetch_related("superseded_by").order_by("number")


def get_file(by: Actor, case: Case, number: int) -> EvidenceFile:
    """One file of a case that the actor may see, by its number, or 404."""
    return get_row(files_of(case).filter(case__in=visible_cases(by)), number=number)


def read_evidence(*, by: Actor, file: EvidenceFile, purpose: str = "") -> bytes | None:
    """The bytes, their reading recorded; None when they were erased. Raises `SealError` for altered bytes."""
    with tenant_atomic(by.tenant_id):
        case = open_to_change(by, file.case_id)
        data = open_evidence([file]).get(file.pk)
        if data is not None:
            body = {"file": file.number, "sha256": bytes(file.sha256).hex(), "purpose": purpose}
            record(case, by, Tag.EVIDENCE_READ, body, action="read", about=file)
    return data


def open_evidence(files: Sequence[EvidenceFile]) -> dict[uuid.UUID, bytes]:
    """The bytes of several files, without a record of the reading: the caller's. Erased ones are missing."""
    rows = EvidenceContent.objects.in_bulk([file.pk for file in files])
    opened = {}
    for file in files:
        if (row := rows.get(file.pk)) is not None:
            data = crypto.unseal(_key(file.tenant_id), bytes(row.sealed), _bound_to(file))
            if hashlib.sha256(data).digest() != bytes(file.sha256):
                raise crypto.SealError(f"{file.reference} is not the file that was handed in.")
            opened[file.pk] = data
    return opened


def custody_of(file: EvidenceFile) -> "QuerySet[CaseEvent]":
    """Who had the file in hand: collected, read, newest last."""
    return CaseEvent.objects.filter(file=file).order_by("id")
