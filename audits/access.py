"""Doors to cases: which ones somebody sees, and what they are to each."""

import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from django.core.exceptions import PermissionDenied
from django.db import models

from audits.lifecycles import Party
from audits.models import Case, CaseUserObjectPermission, EvidenceRequest, Finding, Letter
from audits.workflow import CaseRole
from tenants.access import get_row
from tenants.actors import Actor, Kind

# What a role of the organisation must allow, or a grant on the case must give, to be this to the case.
PERMISSION_OF = {
    CaseRole.LEAD: "case.create",
    CaseRole.PREPARER: "case.work",
    CaseRole.REVIEWER: "case.review",
    CaseRole.APPROVER: "case.sign",
}
GRANT_FOR = {
    "case.read": "view_case",
    "case.work": "work_case",
    "case.review": "review_case",
    "case.sign": "sign_case",
    "case.open_payloads": "open_payloads_of_case",
}


def visible_cases(actor: Actor) -> "models.QuerySet[Case]":
    """Every case for those who read cases; else the ones granted to this person."""
    if actor.may("case.read"):
        return Case.objects.all()
    return Case.objects.filter(pk__in=_live_grants(actor).values("content_object_id"))


def get_case(actor: Actor, pk: uuid.UUID) -> Case:
    """The case, or 404 for one that is missing, foreign, or not for this person."""
    return get_row(visible_cases(actor).select_related("lead", "preparer", "reviewer"), pk=pk)


def lock_case(actor: Actor, pk: uuid.UUID) -> Case:
    """The case, locked until the transaction ends; same door as `get_case`."""
    return get_row(visible_cases(actor).select_for_update(of=("self",)), pk=pk)


def may_in_case(actor: Actor, case: Case, permission: str) -> bool:
    """Whether the actor's roles allow it, or a grant on this case that has not expired."""
    if actor.may(permission):
        return True
    grants = _live_grants(actor).filter(content_object_id=case.pk, permission__codename=GRANT_FOR.get(permission, ""))
    return grants.exists()


def roles_in(case: Case, actor: Actor) -> frozenset[CaseRole]:
    """What the actor is to the case. An approver is anybody who signs and neither leads nor prepared it."""
    return _roles(case, actor, partial(may_in_case, actor, case))


def roles_by_case(cases: Iterable[Case], actor: Actor) -> dict[uuid.UUID, frozenset[CaseRole]]:
    """`roles_in` for each case, by id; grants are read once for all."""
    needs_grants = not all(actor.may(permission) for permission in PERMISSION_OF.values())
    rows = _live_grants(actor).values_list("content_object_id", "permission__codename") if needs_grants else ()
    granted = set(rows)

    def may(case: Case, permission: str) -> bool:
        return actor.may(permission) or (case.pk, GRANT_FOR.get(permission, "")) in granted

    return {case.pk: _roles(case, actor, partial(may, case)) for case in cases}


def _roles(case: Case, actor: Actor, may: Callable[[str], bool]) -> frozenset[CaseRole]:
    if actor.kind == Kind.SYSTEM:
        return frozenset({CaseRole.SYSTEM})
    if actor.user_id is None:
        # A program that may open cases leads in the organisation's name; what needs a person refuses it.
        return frozenset({CaseRole.LEAD} if actor.may(PERMISSION_OF[CaseRole.LEAD]) else ())
    claims = {
        CaseRole.LEAD: case.lead_id == actor.user_id,
        CaseRole.PREPARER: case.preparer_id == actor.user_id,
        CaseRole.REVIEWER: case.reviewer_id == actor.user_id,
        CaseRole.APPROVER: actor.user_id not in {case.lead_id, case.preparer_id},
    }
    roles = {role for role, claimed in claims.items() if claimed and may(PERMISSION_OF[role])}
    if actor.may("member.manage"):
        roles.add(CaseRole.ADMIN)
    return frozenset(roles)


def finding_parties(case: Case, actor: Actor) -> Callable[[Finding], frozenset[Party]]:
    """What the actor is to each finding of a case, asked of the database once. Where nobody owns one, whoever answers
    findings does; who owns one is no auditor of it."""
    auditors, may_review = auditors_in(case, actor), may_in_case(actor, case, "case.review")

    def parties(finding: Finding) -> frozenset[Party]:
        is_owner = actor.user_id is not None and actor.user_id == finding.owner_id
        is_author = actor.user_id is not None and actor.user_id == finding.written_by_id
        claims = {
            Party.OWNER: actor.may("finding.respond") and (is_owner or finding.owner_id is None),
            Party.SECOND: may_review and not is_author and not is_owner,
            Party.RISK_APPROVER: actor.may("finding.accept_risk") and not is_owner,
        }
        held = frozenset(party for party, claimed in claims.items() if claimed)
        return held if is_owner else held | auditors

    return parties


def request_parties(case: Case, actor: Actor) -> Callable[[EvidenceRequest], frozenset[Party]]:
    """What the actor is to each request of a case. Who is to send something does not accept it."""
    auditors = auditors_in(case, actor)

    def parties(request: EvidenceRequest) -> frozenset[Party]:
        is_named = actor.user_id is not None and actor.user_id == request.addressee_id
        answers = request.addressee_id is None and (actor.may("finding.respond") or actor.may("case.comment"))
        return frozenset({Party.ADDRESSEE}) if is_named or (answers and not auditors) else auditors

    return parties


def letter_parties(case: Case, actor: Actor) -> Callable[[Letter], frozenset[Party]]:
    """What the actor is to each letter of a case. Who approves one wrote none of it; the rest of that rule, about
    earlier hands, is `letters.approve_letter`'s."""
    auditors, may_review = auditors_in(case, actor), may_in_case(actor, case, "case.review")

    def parties(letter: Letter) -> frozenset[Party]:
        is_second = may_review and actor.user_id is not None and actor.user_id != letter.written_by_id
        return auditors | ({Party.SECOND} if is_second else set())

    return parties


def auditors_in(case: Case, actor: Actor) -> frozenset[Party]:
    """The auditors' parts that the actor has in a case, by the same names."""
    roles = roles_in(case, actor)
    return frozenset(Party(role) for role in roles if role in {*Party})


def is_guest(actor: Actor) -> bool:
    """Whether a case was opened to this person alone: each page of it that they read is recorded."""
    return actor.user_id is not None and not actor.may("case.read")


def person_of(actor: Actor) -> uuid.UUID:
    """The person behind it: only people write findings and sign. Raises `PermissionDenied` for a program."""
    if actor.user_id is None:
        raise PermissionDenied("Only a person does this.")
    return actor.user_id


def _live_grants(actor: Actor) -> "models.QuerySet[CaseUserObjectPermission]":
    if actor.user_id is None:
        return CaseUserObjectPermission.objects.none()
    return CaseUserObjectPermission.objects.filter(user_id=actor.user_id, expires_at__gt=datetime.now(UTC))
