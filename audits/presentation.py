"""Cases as the pages show them: the contexts that the templates describe in their first lines."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import orjson
from django.urls import reverse

from audits.deadlines import ClockKind, deadline
from audits.models import (
    Case,
    CaseClock,
    CaseEvent,
    CaseItem,
    Conclusion,
    Finding,
    Report,
    ReportKind,
    Signature,
)
from audits.sampling import Evaluation
from audits.selectors import Progress
from audits.workflow import Action, State
from tenants.events import Tag
from tenants.ids import uuid7_time
from traces.models import Decision
from traces.sealing import Content

EXCERPT = 240
PATH = (
    State.DRAFT,
    State.PLANNED,
    State.POPULATION_FROZEN,
    State.FIELDWORK,
    State.IN_REVIEW,
    State.PENDING_SIGNOFF,
    State.SIGNED,
    State.REPORTED,
)
STANDS_AT = {
    State.AWAITING_EVIDENCE: State.FIELDWORK,
    State.CHANGES_REQUESTED: State.IN_REVIEW,
    State.CLOSED: State.REPORTED,
    State.CANCELLED: State.DRAFT,
}
# What the button says, what follows, whether it destroys, whether it asks for a reason. In the order of the buttons.
BUTTONS: Mapping[Action, tuple[str, str, bool, bool]] = {
    Action.FREEZE: (
        "Freeze the population",
        "The decisions in scope that the newest signed checkpoint covers become the population. Nobody can add to it, "
        "or take from it.",
        False,
        False,
    ),
    Action.REFREEZE: ("Freeze again", "The population is taken anew; the first one stays on record.", False, True),
    Action.SUBMIT: ("Submit for review", "The reviewer looks at your conclusions and findings.", False, False),
    Action.REQUEST_CHANGES: ("Ask for changes", "The case goes back to its preparer.", False, True),
    Action.ACCEPT: ("Accept the work", "The content is sealed as it is, and waits for its signatures.", False, False),
    Action.RESUME: ("Resume", "The case goes on where it was.", False, False),
    Action.CLOSE: ("Close the case", "All findings are settled.", False, False),
    Action.REOPEN: (
        "Reopen",
        "Work begins on the next revision. This one stays as it is signed, with its report and bundle.",
        False,
        True,
    ),
    Action.HOLD: ("Put on hold", "Work stops until you resume.", False, True),
    Action.CANCEL: ("Cancel the case", "The case ends here. Nothing is deleted.", True, True),
}
ACTIONS = {
    "finding": "written",
    "request": "asked for",
    "raise": "raised",
    "collected": "handed in",
    "draft": "drafted",
    "edit": "changed",
    "approve": "approved",
    "send": "sent",
    "read": "downloaded",
    "assign": "assigned",
    "issue": "issued",
    "respond": "answered",
    "remediate": "mending planned",
    "complete": "reported as mended",
    "return": "returned",
    "close": "closed",
    "accept_risk": "accepted as a risk",
    "lapse": "open again: the acceptance ran out",
    "dismiss": "dismissed",
    "transfer": "transferred",
    "reopen": "opened again",
    "submit": "submitted",
    "accept": "accepted",
    "withdraw": "withdrawn",
    "answer": "answered",
    "clear": "cleared",
}
TITLES: Mapping[str, str] = {
    Tag.CASE_COMMENTED: "Comment",
    Tag.CASE_READ: "Read by a guest",
    Tag.CASE_ACCESS_GRANTED: "Access given",
    Tag.CASE_ACCESS_REVOKED: "Access ended",
    Tag.CASE_CLOCK_STARTED: "Clock started",
    Tag.CASE_CLOCK_EXTENDED: "Clock extended",
    Tag.CASE_CLOCK_MET: "Clock met",
    Tag.CASE_SAMPLE_DRAWN: "Sample drawn",
    Tag.CASE_ITEM_REPLACED: "Item replaced",
    Tag.CASE_SIGNED: "Signature",
    Tag.PROCEDURE_WRITTEN: "Procedure written",
    Tag.TEST_PERFORMED: "Test performed",
    Tag.REPORT_BUILT: "Report built",
    Tag.BUNDLE_EXPORTED: "Bundle exported",
}
TONES = {"signature": "seal", "report": "seal", "freeze": "seal", "fail": "breach", "finding": "caution"}


def page_url(slug: str, name: str, case: Case, *rest: object) -> str:
    """The address of one of the case's pages."""
    return reverse(name, args=[slug, case.pk, *rest])


def case_head(slug: str, case: Case) -> dict[str, Any]:
    """`case` of every template."""
    return {
        "number": case.reference,
        "title": case.title,
        "url": page_url(slug, "case-detail", case),
        "type": case.get_type_display(),
        "state": case.state,
        "state_label": case.get_state_display(),
        "objective": case.objective,
        "criteria": case.criteria,
        "lead": str(case.lead),
        "opened_at": case.opened_at,
        "due": case.due_by(datetime.now(UTC)),
        "revision": case.revision,
    }


def case_row(slug: str, case: Case, today: date) -> dict[str, Any]:
    """A line of the list; `case` comes from `selectors.case_page`."""
    now = datetime.now(UTC)
    is_over = case.is_sealed or case.state == State.CANCELLED
    is_late = bool(case.due and (case.due_by(now) or today) < today and not is_over)
    return case_head(slug, case) | {
        "done": case.n_concluded,  # type: ignore[attr-defined]
        "total": case.n_items,  # type: ignore[attr-defined]
        "findings": case.n_findings,  # type: ignore[attr-defined]
        "is_overdue": is_late or any(is_clock_overdue(clock, now) for clock in case.clocks.all()),
    }


def is_clock_overdue(clock: CaseClock, now: datetime) -> bool:
    """Whether a statutory deadline is past and nothing was sent."""
    kind, is_extended = ClockKind(clock.kind), bool(clock.extension)
    return deadline(kind, clock.started_at, now, is_extended=is_extended, met_at=clock.met_at).is_overdue


def steps(case: Case, events: Sequence[CaseEvent]) -> list[dict[str, Any]]:
    """The stepper: the usual path, and when each state was first reached in this revision."""
    current = State(case.held_from) if case.state == State.ON_HOLD else State(case.state)
    current = STANDS_AT.get(current, current)
    reached = {event.to_state: uuid7_time(event.pk) for event in events if event.to_state and event.is_about_case}
    at = PATH.index(current)
    order = ["done"] * at + ["current"] + ["todo"] * (len(PATH) - at - 1)
    if current == State.REPORTED:
        order[-1] = "done"
    return [
        {"label": state.label, "state": stage, "at": reached.get(state) if stage != "todo" else None}
        for state, stage in zip(PATH, order, strict=True)
    ]


def buttons(slug: str, case: Case, actions: Iterable[Action]) -> list[dict[str, Any]]:
    """The transitions open to this person that need no form of their own."""
    url, may = page_url(slug, "case-move", case), set(actions)
    return [
        {
            "label": label,
            "url": url,
            "text": text,
            "danger": danger,
            "reason": reason,
            "fields": [{"name": "action", "value": action}, {"name": "version", "value": case.version}],
        }
        for action, (label, text, danger, reason) in BUTTONS.items()
        if action in may
    ]


def progress_panel(progress: Progress, evaluation: Evaluation | None) -> dict[str, Any] | None:
    """The bar over the items."""
    if not progress.total:
        return None
    parts, start = [], 0.0
    for n, tone, name in (
        (progress.passed, "seal", "passed"),
        (progress.deviations, "breach", "failed"),
        (progress.not_applicable, "ink", "not applicable"),
    ):
        percent = 100 * n / progress.total
        parts.append({"percent": round(percent, 2), "from": round(start, 2), "tone": tone, "label": f"{n} {name}"})
        start += percent
    return {
        "done": progress.concluded,
        "total": progress.total,
        "passed": progress.passed,
        "failed": progress.deviations,
        "na": progress.not_applicable,
        "parts": parts,
        "evaluation": evaluation.words if evaluation else "",
    }


def item_row(
    slug: str, case: Case, item: CaseItem, decision: Decision, content: Content | None, *, is_workable: bool
) -> dict[str, Any]:
    """One item; `item.preparer` and the decision's deployment must be loaded."""
    asked, answered = excerpts(content)
    return {
        "id": item.pk,
        "ordinal": item.ordinal,
        "leaf_index": item.leaf_index,
        "url": reverse("decision-detail", args=[slug, decision.pk]),
        "system": decision.deployment.system,
        "occurred_at": decision.occurred_at,
        "asked": asked,
        "answered": answered,
        "action": decision.action,
        "result": Conclusion.FAIL if item.conclusion == Conclusion.EXCEPTION else item.conclusion,
        "note": item.note,
        "reviewer": str(item.preparer) if item.preparer else "",
        "reviewed_at": item.concluded_at,
        "review_url": page_url(slug, "case-item", case, item.pk) if is_workable and not item.replaced_by else None,
        "stratum": item.stratum,
        "replaces": item.replaces,
        "replaced_by": item.replaced_by,
        "may_replace": item.is_ranked,
    }


def excerpts(content: Content | None) -> tuple[str, str]:
    """The first words of the last question and of the answer; empty where they are erased or not shown."""
    if content is None:
        return "", ""
    return _said(content, "input", ("user", "tool", None)), _said(content, "output", ("assistant", None))


def _said(content: Content, member: str, roles: tuple[str | None, ...]) -> str:
    value = orjson.loads(content.canonical.get(member, b"{}")).get(member, "")
    if isinstance(value, list):
        turns = [turn for turn in value if not isinstance(turn, dict) or turn.get("role") in roles]
        value = turns[-1] if turns else ""
    return _text(value)[:EXCERPT]


def _text(value: Any) -> str:
    """Plain text of a message, of its parts, or of any JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(filter(None, (_text(part) for part in value)))
    if isinstance(value, dict):
        for name in ("content", "text", "parts"):
            if value.get(name):
                return _text(value[name])
    return orjson.dumps(value).decode() if value not in (None, "", {}) else ""


def finding_entry(finding: Finding) -> dict[str, Any]:
    """A finding in the list of its case."""
    return {
        "number": finding.reference,
        "title": finding.get_kind_display(),
        "kind": finding.kind,
        "severity": finding.severity,
        "state": finding.state,
        "state_label": finding.get_state_display(),
        "condition": finding.condition,
        "recommendation": finding.recommendation,
        "anchor": finding.reference,
    }


def signature_entry(signature: Signature) -> dict[str, Any]:
    """A signature as it is printed."""
    return {
        "name": signature.name_printed,
        "role": signature.role.capitalize(),
        "meaning": signature.get_meaning_display(),
        "at": signature.signed_at,
        "payload_sha256": bytes(signature.payload_sha256).hex(),
    }


def report_panel(slug: str, case: Case, report: Report | None) -> dict[str, Any] | None:
    """The newest report of this revision."""
    if report is None:
        return None
    return {
        "url": page_url(slug, "case-report", case),
        "sha256": report.file_sha256.hex(),
        "pades": report.get_pades_display(),
        "built_at": report.built_at,
        "is_draft": report.kind == ReportKind.DRAFT,
    }


def event_entry(event: CaseEvent) -> dict[str, Any]:
    """A line of the timeline; what it is about must be loaded where it is not the case itself."""
    return {
        "at": uuid7_time(event.pk),
        "title": _event_title(event),
        "detail": " · ".join(filter(None, (event.note, *_set_values(event)))),
        "by": event.actor_label,
        "tone": TONES.get(event.action),
    }


def _event_title(event: CaseEvent) -> str:
    about = event.finding or event.request or event.review_note or event.file or event.letter
    if about is not None:
        done = ACTIONS.get(event.action, event.action.replace("_", " "))
        return f"{about.reference} {done}"
    if event.action == Action.REOPEN:
        return f"Reopened as revision {event.revision}"
    if event.to_state in State.values:
        return State(event.to_state).label
    if event.tag == Tag.CASE_ITEM_REVIEWED and event.action in Conclusion.values:
        return f"Item concluded: {Conclusion(event.action).label.lower()}"
    return TITLES.get(event.tag, event.tag.partition(".")[0].replace("_", " ").capitalize())


def _set_values(event: CaseEvent) -> list[str]:
    return [f"{name} {value}" for name, value in event.data.items() if value and name in {"due", "until"}]


def scope_pairs(scope: Mapping[str, str]) -> list[dict[str, str]]:
    """The filter of the case, as label and value."""
    return [{"label": name.replace("_", " ").capitalize(), "value": value} for name, value in scope.items()]
