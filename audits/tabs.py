"""The tabs of a case: what each page shows, and what this person may do there. Reads only."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from audits.access import auditors_in, finding_parties, is_guest, request_parties, roles_in
from audits.deadlines import RULES, ClockKind, deadline
from audits.evidence import files_of
from audits.letters import EXPLAINED
from audits.lifecycles import FINDING_STEPS, NOTE_STEPS, REQUEST_STEPS, Party, options
from audits.models import (
    Case,
    CaseClock,
    CaseEvent,
    CaseItem,
    CaseUserObjectPermission,
    Conclusion,
    EvidenceFile,
    EvidenceRequest,
    Finding,
    Procedure,
    ReviewNote,
    TestStep,
)
from audits.presentation import case_head, event_entry, finding_entry, page_url
from audits.procedures import procedures_of
from audits.requests import ASKING, UNANSWERED, is_overdue
from audits.selectors import items_of
from audits.services import COMMENTING
from audits.steps import case_choices, owner_choices, step_forms
from audits.transferring import takers_of
from audits.workflow import CaseRole, FindingState, State
from tenants.actors import Actor

TABS = (
    ("items", "Items", "case-detail"),
    ("procedures", "Procedures", "case-procedures"),
    ("findings", "Findings", "case-findings"),
    ("evidence", "Evidence", "case-evidence"),
    ("letters", "Letters", "case-letters"),
    ("review", "Review", "case-review"),
    ("timeline", "Timeline", "case-timeline"),
    ("access", "Access", "case-access"),
)
Choices = dict[str, list[dict[str, str]]]
TIMELINE_PAGE = 100
TESTED_PAGE = 25
CLOCK_TONES = {"met": "seal", "late": "caution", "soon": "caution", "overdue": "breach", "running": "note"}


def frame(actor: Actor, slug: str, case: Case, active: str, now: datetime) -> dict[str, Any]:
    """What every tab shows: the head, the tabs, the clocks, and for a guest the watermark."""
    may_see_access = actor.may("activity.read")
    tabs = [
        {"label": label, "url": page_url(slug, name, case), "active": key == active}
        for key, label, name in TABS
        if (key != "access" or may_see_access) and (key != "letters" or case.type in EXPLAINED)
    ]
    return {
        "case": case_head(slug, case),
        "case_tabs": tabs,
        "clocks": [clock_entry(slug, case, clock, actor, now) for clock in case.clocks.order_by("started_at", "kind")],
        "held_since": case.state_at if case.state == State.ON_HOLD else None,
        "watermark": f"{actor.label} · {now:%Y-%m-%d %H:%M} UTC" if is_guest(actor) else "",
    }


def clock_entry(slug: str, case: Case, clock: CaseClock, actor: Actor, now: datetime) -> dict[str, Any]:
    """A statutory clock: where it stands, and what its keepers may do."""
    kind = ClockKind(clock.kind)
    stands = deadline(kind, clock.started_at, now, is_extended=bool(clock.extension), met_at=clock.met_at)
    is_keeper = bool(roles_in(case, actor) & {CaseRole.LEAD, CaseRole.PREPARER}) and clock.met_at is None
    return {
        "label": kind.label,
        "kind": kind.value,
        "law": RULES[kind].law,
        "is_incident": not RULES[kind].months,
        "started_at": clock.started_at,
        "due_at": stands.due,
        "state": stands.state,
        "tone": CLOCK_TONES[stands.state],
        "met_at": clock.met_at,
        "how": clock.met_how,
        "extension": clock.extension,
        "url": page_url(slug, "case-clock", case) if is_keeper else None,
        "may_extend": bool(RULES[kind].extra_months) and not clock.extension and now <= stands.due,
    }


def findings_tab(actor: Actor, slug: str, case: Case, today: date) -> dict[str, Any]:
    """Each finding with its life so far and its next steps."""
    rows = case.findings.select_related("owner", "item", "accepted_by", "transferred_to__case").order_by("number")
    rows = rows.prefetch_related("came_from__case")
    told = _lines(case.events.filter(finding__isnull=False), "finding_id")
    is_author = case.is_workable and CaseRole.PREPARER in roles_in(case, actor)
    parties = finding_parties(case, actor)
    choices: Choices = {"owners": owner_choices(), "cases": case_choices(takers_of(actor, case))}
    return {
        "findings": [
            _finding(slug, case, row, told[row.pk], today)
            | _elsewhere(slug, row, is_guest(actor))
            | {"steps": _finding_steps(slug, case, row, parties(row), choices, today)}
            for row in rows
        ],
        "finding_url": page_url(slug, "case-finding", case) if is_author else None,
    }


def _finding_steps(
    slug: str, case: Case, row: Finding, parties: frozenset[Party], choices: Choices, today: date
) -> list[dict[str, Any]]:
    may = () if case.is_still else options(FINDING_STEPS, row.state_on(today), parties)
    url = page_url(slug, "case-finding-step", case, row.number)
    return step_forms(url, may, FINDING_STEPS, row.version, **choices)


def _finding(slug: str, case: Case, row: Finding, lines: list[dict[str, Any]], today: date) -> dict[str, Any]:
    is_lapsed, state = row.is_lapsed(today), row.state_on(today)
    return finding_entry(row) | {
        "state": state,
        "state_label": state.label,
        "is_lapsed": is_lapsed,
        "item": row.item.ordinal if row.item else None,
        "texts": [
            {"label": label, "value": value}
            for label, value in (
                ("Criteria", row.criteria),
                ("Condition", row.condition),
                ("Cause", row.cause),
                ("Effect", row.effect),
                ("Recommendation", row.recommendation),
                ("Response", row.response),
                ("Corrective action", row.corrective_action),
                ("Check of its effect", row.effectiveness_check),
            )
            if value
        ],
        "owner": str(row.owner) if row.owner else "",
        "due": row.due,
        "is_overdue": bool(row.due and row.due < today and state not in {*SETTLED, FindingState.RISK_ACCEPTED}),
        "accepted_until": row.accepted_until,
        "accepted_by": str(row.accepted_by) if row.accepted_by else "",
        "events": lines,
    }


def _elsewhere(slug: str, row: Finding, is_hidden: bool) -> dict[str, Any]:
    """Where it goes on, where it came from; a guest of one case hears of no other."""
    if is_hidden:
        return {"goes_on": None, "came_from": []}
    return {
        "goes_on": _link(slug, row.transferred_to) if row.transferred_to else None,
        "came_from": [_link(slug, before) for before in row.came_from.all()],
    }


def _link(slug: str, finding: Finding) -> dict[str, str]:
    """Where a finding is, in another case."""
    label = f"{finding.case.reference} {finding.reference}"
    return {"label": label, "url": f"{page_url(slug, 'case-findings', finding.case)}#{finding.reference}"}


SETTLED = (FindingState.CLOSED, FindingState.DISMISSED, FindingState.TRANSFERRED)


def evidence_tab(actor: Actor, slug: str, case: Case, today: date) -> dict[str, Any]:
    """Requests with their threads, and files with their custody."""
    requests = list(case.requests.select_related("addressee", "item").order_by("number"))
    threads = _lines(case.events.filter(request__isnull=False), "request_id")
    custody = _lines(case.events.filter(file__isnull=False), "file_id")
    files, parties = list(files_of(case)), request_parties(case, actor)
    may_ask = case.state in ASKING and bool(roles_in(case, actor) & {CaseRole.LEAD, CaseRole.PREPARER})
    return {
        "requests": [
            _request(slug, case, row, threads[row.pk], files, today)
            | {"steps": _request_steps(slug, case, row, parties(row))}
            for row in requests
        ],
        "files": [_file(slug, case, row, custody[row.pk], today) for row in files],
        "request_url": page_url(slug, "case-request", case) if may_ask else None,
        "file_url": page_url(slug, "case-file-add", case) if may_add_files(actor, case, requests) else None,
    }


def may_add_files(actor: Actor, case: Case, requests: Iterable[EvidenceRequest]) -> bool:
    """Whether the form for a file is worth showing; the service decides."""
    if case.is_still or case.state in {State.CLOSED, State.PENDING_SIGNOFF}:
        return False
    parties = request_parties(case, actor)
    is_asked = any(row.state in UNANSWERED and Party.ADDRESSEE in parties(row) for row in requests)
    return is_asked or bool(auditors_in(case, actor)) or actor.may("case.comment") or actor.may("finding.respond")


def _request_steps(slug: str, case: Case, row: EvidenceRequest, parties: frozenset[Party]) -> list[dict[str, Any]]:
    may = () if case.is_still else options(REQUEST_STEPS, row.state, parties)
    return step_forms(page_url(slug, "case-request-step", case, row.number), may, REQUEST_STEPS, row.version)


def _request(
    slug: str,
    case: Case,
    row: EvidenceRequest,
    lines: list[dict[str, Any]],
    files: Iterable[EvidenceFile],
    today: date,
) -> dict[str, Any]:
    return {
        "number": row.reference,
        "title": row.title,
        "detail": row.detail,
        "addressee": str(row.addressee) if row.addressee else "",
        "due": row.due,
        "is_overdue": is_overdue(row, today),
        "is_blocking": row.is_blocking,
        "item": row.item.ordinal if row.item else None,
        "state": row.state,
        "state_label": row.get_state_display(),
        "files": [file.reference for file in files if file.request_id == row.pk],
        "events": lines,
    }


def _file(slug: str, case: Case, row: EvidenceFile, lines: list[dict[str, Any]], today: date) -> dict[str, Any]:
    newer = [file.reference for file in row.superseded_by.all()]
    about = [
        *([f"answers {row.request.reference}"] if row.request else []),
        *([f"item {row.item.ordinal}"] if row.item else []),
        *([f"for {row.finding.reference}"] if row.finding else []),
        *([f"supersedes {row.supersedes.reference}"] if row.supersedes else []),
    ]
    return {
        "number": row.reference,
        "name": row.name,
        "url": page_url(slug, "case-file", case, row.number),
        "type": row.media_type.partition(";")[0],
        "bytes": row.bytes,
        "sha256": bytes(row.sha256).hex(),
        "about": about,
        "source": row.source,
        "collected_by": row.collected_label,
        "collected_at": row.collected_at,
        "superseded_by": newer[0] if newer else "",
        "is_expired": bool(row.expires and row.expires < today),
        "custody": lines,
    }


def review_tab(actor: Actor, slug: str, case: Case) -> dict[str, Any]:
    """The reviewer's notes, newest revision first."""
    rows = case.notes.select_related("item", "raised_by").order_by("number")
    told = _lines(case.events.filter(review_note__isnull=False), "review_note_id")
    parties = auditors_in(case, actor)
    is_reviewed = case.state in {State.IN_REVIEW, State.CHANGES_REQUESTED}
    return {
        "notes": [_note(slug, case, row, told[row.pk], parties if is_reviewed else frozenset()) for row in rows],
        "note_url": page_url(slug, "case-note", case) if is_reviewed and Party.REVIEWER in parties else None,
        "is_reviewed": is_reviewed,
    }


def _note(
    slug: str, case: Case, row: ReviewNote, lines: list[dict[str, Any]], parties: frozenset[Party]
) -> dict[str, Any]:
    url = page_url(slug, "case-note-step", case, row.number)
    return {
        "number": row.reference,
        "text": row.text,
        "by": str(row.raised_by),
        "at": row.raised_at,
        "revision": row.revision,
        "item": row.item.ordinal if row.item else None,
        "state": row.state,
        "state_label": row.get_state_display(),
        "steps": step_forms(url, options(NOTE_STEPS, row.state, parties), NOTE_STEPS, row.version),
        "events": lines,
    }


def procedures_tab(actor: Actor, slug: str, case: Case, after: int) -> dict[str, Any]:
    """The procedures, and a page of items with what each procedure found on them."""
    procedures = list(procedures_of(case))
    roles = roles_in(case, actor)
    items = list(items_of(case).filter(ordinal__gt=after)[: TESTED_PAGE + 1]) if procedures else []
    shown = items[:TESTED_PAGE]
    may_test = case.is_workable and CaseRole.PREPARER in roles
    may_write = case.state in PLANNING and bool(roles & {CaseRole.LEAD, CaseRole.PREPARER})
    return {
        "procedures": [_procedure(slug, case, row, may_test) for row in procedures],
        "tested": _tested(procedures, shown),
        "procedure_url": page_url(slug, "case-procedure", case) if may_write else None,
        "results": Conclusion.choices,
        "older_url": f"?after={shown[-1].ordinal}" if len(items) > TESTED_PAGE else "",
        "newer_url": f"?after={max(0, after - TESTED_PAGE)}" if after else "",
        "shown": len(shown),
    }


PLANNING = frozenset({State.DRAFT, State.PLANNED, State.POPULATION_FROZEN, State.FIELDWORK, State.CHANGES_REQUESTED})


def _procedure(slug: str, case: Case, row: Procedure, may_test: bool) -> dict[str, Any]:
    return {
        "number": row.reference,
        "title": row.title,
        "expected": row.expected,
        "workpaper": row.workpaper,
        "url": page_url(slug, "case-test", case, row.number) if may_test else None,
    }


def _tested(procedures: list[Procedure], items: list[CaseItem]) -> list[dict[str, Any]]:
    rows = TestStep.objects.filter(procedure__in=[row.pk for row in procedures], item__in=[row.pk for row in items])
    found = {(row.item_id, row.procedure_id): row for row in rows.select_related("performed_by")}
    return [
        {
            "ordinal": item.ordinal,
            "conclusion": item.get_conclusion_display(),
            "results": [_result(row, found.get((item.pk, row.pk))) for row in procedures],
        }
        for item in items
    ]


def _result(procedure: Procedure, step: TestStep | None) -> dict[str, Any]:
    tones = {Conclusion.PASS: "seal", Conclusion.FAIL: "breach", Conclusion.EXCEPTION: "breach"}
    return {
        "number": procedure.reference,
        "label": step.get_result_display() if step else "",
        "tone": tones.get(Conclusion(step.result), "") if step else "",
        "actual": step.actual if step else "",
        "by": str(step.performed_by) if step else "",
    }


def timeline_tab(actor: Actor, case: Case, before: str) -> dict[str, Any]:
    """Everything that happened, newest first."""
    rows = CaseEvent.objects.filter(case=case).select_related("finding", "request", "review_note", "file", "letter")
    if before:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-id")[: TIMELINE_PAGE + 1])
    shown = found[:TIMELINE_PAGE]
    return {
        "events": [event_entry(event) for event in shown],
        "older_url": f"?before={shown[-1].pk}" if len(found) > TIMELINE_PAGE else "",
        "shown": len(shown),
        "may_comment": any(actor.may(name) for name in COMMENTING),
        "may_start": not case.is_still and bool(roles_in(case, actor) & {CaseRole.LEAD, CaseRole.PREPARER}),
    }


def access_tab(actor: Actor, slug: str, case: Case, now: datetime) -> dict[str, Any]:
    """Whom the case lets in beside those whose role does, and until when."""
    grants: defaultdict[Any, list[CaseUserObjectPermission]] = defaultdict(list)
    rows = CaseUserObjectPermission.objects.filter(content_object=case).select_related("user", "permission")
    for row in rows.order_by("user__name", "permission__codename"):
        grants[row.user].append(row)
    may_let_in = bool(roles_in(case, actor) & {CaseRole.LEAD, CaseRole.ADMIN})
    return {
        "guests": [
            {
                "name": str(user),
                "email": user.email,
                "permissions": ", ".join(row.permission.name for row in held),
                "expires_at": max(row.expires_at for row in held),
                "is_over": max(row.expires_at for row in held) <= now,
            }
            for user, held in grants.items()
        ],
        "grant_url": page_url(slug, "case-grant", case) if may_let_in else None,
        "revoke_url": page_url(slug, "case-revoke", case) if may_let_in else None,
    }


def _lines(events: Any, key: str) -> Mapping[Any, list[dict[str, Any]]]:
    found: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for event in events.select_related("finding", "request", "review_note", "file", "letter").order_by("-id"):
        found[getattr(event, key)].append(event_entry(event))
    return found


def now_utc() -> datetime:
    """The clock of the pages."""
    return datetime.now(UTC)
