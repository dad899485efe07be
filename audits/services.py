"""The course of a case, from opening to review, and again. Freezing and sampling: `populations`; evidence: `requests`
and `evidence`; tests: `procedures`; review notes: `notes`; findings once written: `findings`; statutory clocks:
`clocks`; signing: `signing`; reports: `publishing`. Each write is one transaction with its leaf."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Max

from audits import telling
from audits.access import GRANT_FOR, PERMISSION_OF, person_of, roles_in
from audits.clocks import CLOCK_OF, begin_clock
from audits.content import case_content, content_sha256
from audits.lifecycles import NoteState
from audits.models import (
    Case,
    CaseItem,
    CaseRevision,
    CaseType,
    CaseUserObjectPermission,
    Conclusion,
    Finding,
    FindingKind,
    ReportKind,
    Severity,
)
from audits.notes import notes_in, request_changes
from audits.procedures import untested
from audits.requests import unsettled_requests
from audits.selectors import items_of
from audits.timeline import move, open_to_change, record, refuse, require_role, target
from audits.workflow import SETTLED_FINDINGS, Action, CaseRole, State
from tenants.access import require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.models import Membership, User
from traces.selectors import DecisionFilter

COMMENTING = ("case.comment", "case.work", "case.review", "case.create", "finding.respond")
MAX_GRANT = timedelta(days=90)

# Transitions that need nothing beyond the table and, where it says so, a reason.
PLAIN_MOVES = frozenset({Action.HOLD, Action.RESUME, Action.CANCEL, Action.CLOSE})


@dataclass(frozen=True, slots=True)
class Brief:
    """What a case is about."""

    title: str
    type: str = CaseType.PERIODIC
    objective: str = ""
    criteria: str = ""
    due: date | None = None
    aware_at: datetime | None = None  # when somebody knew of the incident, or asked: a statutory clock runs from it


@dataclass(frozen=True, slots=True)
class FindingText:
    """A finding as its author writes it; `criteria` and `condition` must be there."""

    criteria: str
    condition: str
    kind: str = FindingKind.MINOR
    severity: str = Severity.MEDIUM
    cause: str = ""
    effect: str = ""
    recommendation: str = ""
    due: date | None = None


def open_case(*, by: Actor, scope: DecisionFilter, brief: Brief, lead: User | None = None) -> Case:
    """A draft case over the decisions that `scope` finds. A program must name the person who leads."""
    require(by, "case.create")
    leader = lead.pk if lead else by.user_id
    if leader is None:
        raise ValidationError({"lead": "Name the person who leads the case."})
    with tenant_atomic(by.tenant_id):
        require_member(leader, CaseRole.LEAD)
        about = {name: value for name, value in asdict(brief).items() if name != "aware_at"}
        case = Case(number=_next_number(by.tenant_id), scope_query=scope.canonical(), lead_id=leader, **about)
        case.full_clean(exclude=["scope_query", "lead"])
        case.save(force_insert=True)
        body = {"title": case.title, "type": case.type, "scope": scope.as_dict(), "lead": str(leader)}
        record(case, by, Tag.CASE_OPENED, body, action="open", to=State.DRAFT)
        if (kind := CLOCK_OF.get(CaseType(case.type))) is not None:
            begin_clock(case, by, kind, brief.aware_at or case.opened_at)
        telling.tell_opened(case)
    return case


def _next_number(tenant_id: uuid.UUID) -> int:
    """Numbers run on without a gap: one opening at a time for each tenant."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"case-number:{tenant_id}"])
    return (Case.objects.aggregate(last=Max("number"))["last"] or 0) + 1


def require_member(user_id: uuid.UUID, role: CaseRole) -> None:
    """Refuse somebody whose seat in the organisation does not let them be that to a case."""
    seat = Membership.objects.filter(user_id=user_id).first()
    if seat is None or PERMISSION_OF[role] not in seat.permissions:
        raise ValidationError({str(role): f"This person cannot be the {role} of a case."})


def plan_case(
    *, by: Actor, case: Case, preparer: User, reviewer: User, objective: str, criteria: str, version: int | None = None
) -> Case:
    """Say who prepares, who reviews, and against what; nobody reviews their own work."""
    if preparer == reviewer:
        raise ValidationError({"reviewer": "The reviewer must be somebody else than the preparer."})
    if not criteria.strip():
        raise ValidationError({"criteria": "Say what the decisions are held against."})
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        require_member(preparer.pk, CaseRole.PREPARER)
        require_member(reviewer.pk, CaseRole.REVIEWER)
        locked.preparer, locked.reviewer = preparer, reviewer
        locked.objective, locked.criteria = objective.strip(), criteria.strip()
        who = {"preparer": str(preparer.pk), "reviewer": str(reviewer.pk)}
        body = {**who, "objective": locked.objective, "criteria": locked.criteria}
        event = move(locked, by, Action.PLAN, body=body)
        locked.save(update_fields=["preparer", "reviewer", "objective", "criteria"])
        telling.tell_assigned(locked, event)
    return locked


def move_case(*, by: Actor, case: Case, action: Action, reason: str = "", version: int | None = None) -> Case:
    """Hold, resume, cancel, close; and ask for changes, with the reason as a review note."""
    if action == Action.REQUEST_CHANGES:
        return request_changes(by=by, case=case, reason=reason, version=version)
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        if action not in PLAIN_MOVES:
            raise refuse(locked, by, f"“{action}” needs more than a reason.")
        if action == Action.CLOSE and _unsettled_findings(locked):
            raise refuse(
                locked,
                by,
                "A case closes when each of its findings is closed, dismissed, transferred or accepted as risk.",
            )
        move(locked, by, action, reason=reason.strip())
    return locked


def _unsettled_findings(case: Case) -> bool:
    """Findings that are not settled, among them risks that were accepted until a day that is past."""
    today = datetime.now(UTC).date()
    return any(
        finding.state not in SETTLED_FINDINGS or finding.is_lapsed(today)
        for finding in case.findings.only("tenant", "state", "accepted_until")
    )


def reopen_case(*, by: Actor, case: Case, reason: str, version: int | None = None) -> Case:
    """A signed case goes on as the draft of its next revision. The signed one stays as it is, with its report."""
    person_of(by)
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        target(locked, by, Action.REOPEN, reason)
        reports = locked.reports.filter(revision=locked.revision, kind=ReportKind.FINAL)
        if not reports.exists():
            raise refuse(locked, by, "The report of this revision is still being built; reopen the case after that.")
        move(locked, by, Action.REOPEN, reason=reason.strip())
    return locked


def review_item(*, by: Actor, item: CaseItem, conclusion: str, note: str = "") -> CaseItem:
    """The preparer's conclusion on one decision; a fail says why. May be revised until the case is submitted."""
    if conclusion not in Conclusion.values:
        raise ValidationError({"conclusion": "Choose pass, fail, not applicable or exception."})
    note = note.strip()
    if conclusion in {Conclusion.FAIL, Conclusion.EXCEPTION} and not note:
        raise ValidationError({"note": "Say in a few words what is wrong."})
    with tenant_atomic(by.tenant_id):
        case = open_to_change(by, item.case_id)
        require_workable(case, by, item)
        row = CaseItem.objects.select_for_update().get(pk=item.pk)
        if row.replaced_by is not None:
            raise refuse(case, by, f"Item {row.replaced_by} stands in for this one.")
        before = row.conclusion
        row.conclusion, row.note = conclusion, note
        row.preparer_id, row.concluded_at = by.user_id, datetime.now(UTC)
        row.save(update_fields=["conclusion", "note", "preparer", "concluded_at"])
        body = {"item": row.ordinal, "decision": str(row.decision_id), "before": before, "conclusion": conclusion}
        record(case, by, Tag.CASE_ITEM_REVIEWED, body, action=conclusion, note=note)
    return row


def require_workable(case: Case, by: Actor, item: CaseItem | None) -> None:
    """Refuse unless the actor may conclude on this item of a case that takes conclusions now."""
    if not case.is_workable:
        raise refuse(case, by, f"A case that is {case.get_state_display().lower()} takes no changes to its items.")
    require_role(case, by, CaseRole.PREPARER, "conclude on its items and write findings")
    if item is not None and (item.case_id != case.pk or item.revision != case.revision):
        raise refuse(case, by, "This item belongs to another case or an earlier revision.")


def write_finding(*, by: Actor, case: Case, text: FindingText, item: CaseItem | None = None) -> Finding:
    """A finding of the case, on one item or on the whole. What becomes of it: `findings`."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        require_workable(locked, by, item)
        number = (locked.findings.aggregate(last=Max("number"))["last"] or 0) + 1
        finding = Finding(case=locked, item=item, number=number, written_by_id=person_of(by), **asdict(text))
        finding.full_clean(exclude=["case", "item", "written_by", "owner"])
        finding.save(force_insert=True)
        said = {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(text).items()}
        body = {"finding": number, "item": item.ordinal if item else None, **said}
        data = {"due": said["due"] or ""}
        record(
            locked, by, Tag.FINDING_WRITTEN, body, action="finding", to=finding.state, note=finding.condition,
            about=finding, data=data,
        )  # fmt: skip
    return finding


def submit_for_review(*, by: Actor, case: Case, version: int | None = None) -> Case:
    """Hand the work to the reviewer: every item concluded, every fail with a finding, nothing asked for and not had,
    every test performed, every note answered."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        target(locked, by, Action.SUBMIT)
        items = items_of(locked)
        if n_open := items.filter(conclusion="").count():
            raise refuse(locked, by, f"{n_open} of the items have no conclusion yet.")
        unexplained = items.filter(conclusion=Conclusion.FAIL, findings__isnull=True).values_list("ordinal", flat=True)
        if failed := list(unexplained[:10]):
            numbers = ", ".join(str(ordinal) for ordinal in failed)
            raise refuse(locked, by, f"Every fail needs a finding; there is none for item {numbers}.")
        if why := unready(locked):
            raise refuse(locked, by, why)
        digest = content_sha256(case_content(locked)).hex()
        move(locked, by, Action.SUBMIT, body={"content_sha256": digest})
    return locked


def unready(case: Case) -> str:
    """What the working papers lack before somebody else looks at them; empty: nothing."""
    if waiting := unsettled_requests(case):
        return f"What was asked for is not accepted yet: {', '.join(waiting)}."
    if notes := notes_in(case, NoteState.OPEN):
        return f"Review notes wait for an answer: {', '.join(notes)}."
    return untested(case)


def accept_review(*, by: Actor, case: Case, version: int | None = None) -> CaseRevision:
    """The reviewer is satisfied: the content is sealed as it is, and waits for its signatures."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk, version)
        if items_of(locked).filter(preparer_id=by.user_id).exists():
            raise refuse(locked, by, "Nobody reviews their own work: you concluded on an item of this case.")
        if notes := notes_in(locked, NoteState.OPEN, NoteState.ANSWERED):
            raise refuse(locked, by, f"Clear your review notes first: {', '.join(notes)}.")
        content = case_content(locked)
        digest = content_sha256(content)
        move(locked, by, Action.ACCEPT, body={"content_sha256": digest.hex()})
        return CaseRevision.objects.create(
            case=locked, revision=locked.revision, content=content, content_sha256=digest
        )


def comment_on_case(*, by: Actor, case: Case, text: str) -> None:
    """A remark in the timeline, by those who work on the case, answer for something, or are its guests."""
    if not text.strip():
        raise ValidationError({"text": "Say something."})
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        if not any(by.may(permission) for permission in COMMENTING):
            raise refuse(locked, by, "Your role reads this case, and does not comment on it.")
        record(locked, by, Tag.CASE_COMMENTED, {}, action="comment", note=text.strip())


def grant_case_access(
    *, by: Actor, case: Case, user: User, permissions: Sequence[str], expires_at: datetime
) -> list[CaseUserObjectPermission]:
    """Let a person into one case for at most 90 days, with `case.read`, `case.work`, `case.review`, `case.sign`, or
    `case.open_payloads`: without that a guest sees no content of a decision."""
    if not permissions or set(permissions) - set(GRANT_FOR):
        raise ValidationError({"permissions": f"Choose among {', '.join(GRANT_FOR)}."})
    if not datetime.now(UTC) < expires_at <= datetime.now(UTC) + MAX_GRANT:
        raise ValidationError({"expires_at": f"Access to a case lasts at most {MAX_GRANT.days} days."})
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        if not roles_in(locked, by) & {CaseRole.LEAD, CaseRole.ADMIN}:
            raise refuse(locked, by, "Only the lead or an administrator lets people into a case.")
        if not Membership.objects.filter(user=user).exists():
            raise ValidationError({"user": "This person is not a member of your organisation."})
        codenames = [GRANT_FOR[permission] for permission in permissions]
        rows = Permission.objects.filter(content_type__app_label="audits", codename__in=codenames)
        grants = [_grant(locked, user, row, expires_at) for row in rows]
        body = {"user": str(user.pk), "permissions": sorted(permissions), "until": expires_at.isoformat()}
        record(locked, by, Tag.CASE_ACCESS_GRANTED, body, action="grant", note=str(user))
    return grants


def revoke_case_access(*, by: Actor, case: Case, user: User) -> int:
    """End somebody's access to one case now; how many permissions that took away. Their next request finds nothing."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        if not roles_in(locked, by) & {CaseRole.LEAD, CaseRole.ADMIN}:
            raise refuse(locked, by, "Only the lead or an administrator ends somebody's access.")
        n_ended = CaseUserObjectPermission.objects.filter(content_object=locked, user=user).delete()[0]
        if n_ended:
            body = {"user": str(user.pk), "permissions": n_ended}
            record(locked, by, Tag.CASE_ACCESS_REVOKED, body, action="revoke", note=str(user))
    return n_ended


def _grant(case: Case, user: User, permission: Permission, expires_at: datetime) -> CaseUserObjectPermission:
    grant: CaseUserObjectPermission
    grant, _ = CaseUserObjectPermission.objects.update_or_create(
        content_object=case, user=user, permission=permission, defaults={"expires_at": expires_at}
    )
    return grant
