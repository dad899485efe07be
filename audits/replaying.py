"""Erasing again what a restored backup brought back: from the certificates that are kept outside the database.

A certificate never names the subject. The backup itself does: their key is found by its keyed hash, and a content under
it says whose it is; where only the column of users names them, that is compared by the same hash.
"""

import hashlib
import json
import uuid
from datetime import datetime
from typing import Any

from django.db.models import Max

from audits.erasing import NOTE, run_erasure
from audits.lifecycles import ErasureState
from audits.models import Erasure
from audits.subjects import seal_subject
from tenants.actors import system_actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.canonical import dumps
from tenants.ledger.log import append
from tenants.ledger.notes import open_note
from tenants.ledger.receipts import receipt_signer
from tenants.models import SubjectKey
from traces.contents import members_of, read_contents
from traces.erasing import SESSION, subject_hmac
from traces.models import Decision, DecisionPayload


class NotGenuine(ValueError):
    """A certificate that this instance did not sign, or that was altered."""


def replay_certificate(data: bytes) -> Erasure | None:
    """Erase again what it certifies; None where nothing of it is back. Raises `NotGenuine`.

    The request is written again as it was decided then, by the same two people: the database asks for both.
    """
    told = _genuine(data)
    tenant_id, erasure_id = uuid.UUID(told["tenant"]), uuid.UUID(told["id"])
    digest = bytes.fromhex(told["subject_hmac"])
    with tenant_atomic(tenant_id):
        subject = _subject_in_backup(tenant_id, digest)
        if not subject:
            return None
        row = _approved_again(tenant_id, erasure_id, digest, subject, told)
        body = {"erasure": row.number, "certificate_sha256": hashlib.sha256(dumps(told)).hexdigest()}
        append(Tag.ERASURE_REPLAYED, by=system_actor(tenant_id, "operator"), body=body, ref=row.pk)
    run_erasure(tenant_id, row.pk)
    with tenant_atomic(tenant_id):
        return Erasure.objects.get(pk=row.pk)


def _genuine(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
        told, note = document["certificate"], document["note"]
        text = open_note(note, [receipt_signer().verifier]).text
    except (ValueError, KeyError, TypeError) as error:
        raise NotGenuine(f"Not a certificate of this instance: {error}") from None
    lines = text.split("\n")
    if lines[0] != NOTE or lines[3] != f"sha256:{hashlib.sha256(dumps(told)).hexdigest()}":
        raise NotGenuine("The certificate was altered.")
    return dict(told)


def _subject_in_backup(tenant_id: uuid.UUID, digest: bytes) -> str:
    """Whose hash it is, where anything of theirs is here; empty otherwise."""
    keys = SubjectKey.objects.filter(subject_hmac=digest).values("pk")
    some = DecisionPayload.objects.filter(subject_key_id__in=keys).values_list("pk", flat=True)[:1]
    for content in read_contents(list(some)).values():
        members = members_of(content)
        session = members.get("session")
        return str(members.get("subject") or members.get("user") or f"{SESSION}{session}")
    users = Decision.objects.exclude(user="").values_list("user", flat=True).distinct()
    return next((user for user in users.iterator() if subject_hmac(tenant_id, user) == digest), "")


def _approved_again(
    tenant_id: uuid.UUID, erasure_id: uuid.UUID, digest: bytes, subject: str, told: dict[str, Any]
) -> Erasure:
    row = Erasure.objects.select_for_update().filter(pk=erasure_id).first()
    if row is None or row.state == ErasureState.COMPLETED:
        row = Erasure(
            id=uuid.uuid5(erasure_id, told["completed_at"]) if row else erasure_id,
            number=(Erasure.objects.aggregate(last=Max("number"))["last"] or 0) + 1,
            subject_hmac=digest,
            ground=told["ground"].partition("(1)(")[2][0],
            reason=told["reason"],
            requested_by=told["requested"]["by"],
            requested_label=told["requested"]["label"],
            requested_at=datetime.fromisoformat(told["requested"]["at"]),
        )
        row.save(force_insert=True)
    row.sealed_subject = seal_subject(tenant_id, row.pk, subject)
    if row.state == ErasureState.REQUESTED:
        row.state = ErasureState.APPROVED
        row.decided_by, row.decided_label = told["approved"]["by"], told["approved"]["label"]
        row.decided_at = datetime.fromisoformat(told["approved"]["at"])
    row.save()
    return row
