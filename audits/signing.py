"""Signing off: who, when, with which meaning, proven how, over which content (21 CFR 11.50, 11.70, 11.100, 11.200)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
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
from tenants.factors import has_totp, take_totp
from tenants.models import User

MEANING_OF = {CaseRole.LEAD: Meaning.RESPONSIBILITY, CaseRole.APPROVER: Meaning.APPROVAL}


@dataclass(frozen=True, slots=True)
class Factor:
    """One way in which a signer proves who they are. `holds`: whether what they gave is right, now, and only now."""

    name: str  # as `auth_methods` keep it
    is_asked_of: Callable[[User], bool]
    holds: Callable[[User, str], bool]
    otherwise: str


# A signature needs every factor that is asked of its signer (21 CFR 11.200: two components). A second factor is
# asked of those who have one.
FACTORS: tuple[Factor, ...] = (
    Factor(
        "password",
        is_asked_of=lambda user: True,
        holds=lambda user, given: user.check_password(given),
        otherwise="This is not your password; a signature needs it.",
    ),
    Factor(
        "totp",
        is_asked_of=has_totp,
        holds=take_totp,
        otherwise="This is not the code that your authenticator app shows now, or it was given before.",
    ),
)


def prove(signer: User, given: Mapping[str, str]) -> list[str]:
    """The names of the factors by which the signer proved who they are. Raises `ValidationError`, by factor."""
    asked = [factor for factor in FACTORS if factor.is_asked_of(signer)]
    wrong = {factor.name: factor.otherwise for factor in asked if not factor.holds(signer, given.get(factor.name, ""))}
    if wrong:
        raise ValidationError(wrong)
    return [factor.name for factor in asked]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a signature says (21 CFR 11.50), and what it is bound to (11.70). Whole, or there is none."""

    signer: str
    name: str
    role: str
    meaning: str
    signed_at: str
    auth_methods: list[str]
    payload_sha256: str

    def __post_init__(self) -> None:
        lacking = [name for name, value in asdict(self).items() if not value]
        if not self.name.strip():
            lacking.append("name")
        if lacking:
            raise ValidationError(f"A signature says who signed, when, and what it means. It lacks: {lacking}.")


def sign_case(
    *, by: Actor, case: Case, password: str, second: Mapping[str, str] | None = None, version: int | None = None
) -> Signature:
    """Sign the sealed revision: the lead takes responsibility, another person approves; the second one completes it.

    The signer proves who they are again, with their password and with what else is asked of them (`FACTORS`; `second`
    has it by name). Refused when the content is not what was reviewed.
    """
    signer = User.objects.get(pk=person_of(by))
    methods = prove(signer, {**(second or {}), "password": password})
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        target(locked, by, Action.SIGN)
        if not may_in_case(by, locked, "case.sign"):
            raise refuse(locked, by, "Your role does not let you sign.")
        role = CaseRole.LEAD if CaseRole.LEAD in roles_in(locked, by) else CaseRole.APPROVER
        revision = _unchanged_revision(locked, by)
        _refuse_second(locked, by, signer, role)
        signature = _sign(locked, by, signer, role, revision, methods)
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


def _sign(case: Case, by: Actor, signer: User, role: CaseRole, revision: CaseRevision, methods: list[str]) -> Signature:
    at, meaning = datetime.now(UTC), MEANING_OF[role]
    manifest = Manifest(
        signer=str(signer.pk),
        name=str(signer),
        role=role,
        meaning=meaning,
        signed_at=at.isoformat(),
        auth_methods=methods,
        payload_sha256=bytes(revision.content_sha256).hex(),
    )
    event = record(case, by, Tag.CASE_SIGNED, asdict(manifest), action="signature", note=meaning.label)
    return Signature.objects.create(
        id=event.pk,
        case=case,
        revision=case.revision,
        signer=signer,
        role=role,
        meaning=meaning,
        name_printed=manifest.name,
        signed_at=at,
        auth_methods=methods,
        payload_sha256=bytes(revision.content_sha256),
    )


def _missing_meanings(case: Case) -> set[str]:
    given = Signature.objects.filter(case=case, revision=case.revision).values_list("meaning", flat=True)
    return set(Meaning.values) - set(given)
