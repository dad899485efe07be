"""Signing off: who, when, with which meaning, proven how, over which content (21 CFR 11.50, 11.70, 11.100, 11.200)."""

from datetime import UTC, datetime

from django.core.exceptions import ValidationError

from audits import tasks
from audits.access import may_in_case, person_of, roles_in
from audits.content import case_content, content_sha256
from audits.models import Case, CaseRevision, Meaning, Signature
from audits.timeline import move, open_to_change, record, refuse, target
from audits.workflow import Action, CaseRole, FindingState
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.models import User

MEANING_OF = {CaseRole.LEAD: Meaning.RESPONSIBILITY, CaseRole.APPROVER: Meaning.APPROVAL}


def sign_case(*, by: Actor, case: Case, password: str, version: int | None = None) -> Signature:
    """Sign the sealed revision: the lead takes responsibility, another person approves; the second one completes it.

    The signer proves who they are again, with their password. Refused when the content is not what was reviewed.
    """
    signer = User.objects.get(pk=person_of(by))
    if not signer.check_password(password):
        raise ValidationError({"password": "This is not your password; a signature needs it."})
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        target(locked, by, Action.SIGN)
        if not may_in_case(by, locked, "case.sign"):
            raise refuse(locked, by, "Your role does not let you sign.")
        role = CaseRole.LEAD if CaseRole.LEAD in roles_in(locked, by) else CaseRole.APPROVER
        revision = _unchanged_revision(locked, by)
        _refuse_second(locked, by, signer, role)
        signature = _sign(locked, by, signer, role, revision)
        if not _missing_meanings(locked):
            locked.findings.filter(state=FindingState.DRAFT).update(state=FindingState.OPEN)
            move(locked, by, Action.SIGN, body={"content_sha256": bytes(revision.content_sha256).hex()})
            tasks.build_report_later(locked)
    return signature


def _unchanged_revision(case: Case, by: Actor) -> CaseRevision:
    revision = CaseRevision.objects.get(case=case, revision=case.revision)
    if content_sha256(case_content(case)) != bytes(revision.content_sha256):
        raise refuse(case, by, "The content is not what was reviewed; it cannot be signed.")
    return revision


def _refuse_second(case: Case, by: Actor, signer: User, role: CaseRole) -> None:
    given = Signature.objects.filter(case=case, revision=case.revision)
    if given.filter(signer=signer).exists():
        raise refuse(case, by, "You have signed this revision already.")
    if given.filter(meaning=MEANING_OF[role]).exists():
        raise refuse(case, by, "Somebody has given this signature already.")


def _sign(case: Case, by: Actor, signer: User, role: CaseRole, revision: CaseRevision) -> Signature:
    manifest = {
        "signer": str(signer.pk),
        "name": str(signer),
        "role": role,
        "meaning": MEANING_OF[role],
        "signed_at": (at := datetime.now(UTC)).isoformat(),
        "auth_methods": ["password"],
        "payload_sha256": bytes(revision.content_sha256).hex(),
    }
    event = record(case, by, Tag.CASE_SIGNED, manifest, action="signature", note=MEANING_OF[role].label)
    return Signature.objects.create(
        id=event.pk,
        case=case,
        revision=case.revision,
        signer=signer,
        role=role,
        meaning=MEANING_OF[role],
        name_printed=str(signer),
        signed_at=at,
        auth_methods=["password"],
        payload_sha256=bytes(revision.content_sha256),
    )


def _missing_meanings(case: Case) -> set[str]:
    given = Signature.objects.filter(case=case, revision=case.revision).values_list("meaning", flat=True)
    return set(Meaning.values) - set(given)
