"""Letters of explanation: drafted from the record, mended by a person, approved by another, and only then sent.

The words are sealed beside the decision's content and go with it. The log keeps hashes of them, salted by the letter
itself, and who did what when.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Max, QuerySet

from audits.access import letter_parties, person_of, roles_in, visible_cases
from audits.clocks import CLOCK_OF, meet_clock
from audits.explaining import QUOTED, LetterText, Record, RuleSet, draft
from audits.gather import policies_of
from audits.lifecycles import LETTER_STEPS, LetterAction, LetterState, options
from audits.models import Case, CaseEvent, CaseItem, CaseType, Letter
from audits.reading import reader_in
from audits.reports.data import PolicyLine
from audits.reports.letter import LetterPage, render_letter
from audits.timeline import lock_member, open_to_change, record, refuse, step
from audits.workflow import CaseRole
from policies.models import Mode
from tenants.access import get_row
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import uuid7_now
from tenants.ledger.log import append
from traces.contents import members_of, open_payload, policy_document
from traces.meaning.remarks import opened_beside, seal_beside
from traces.presentation import asked_and_answered

EXPLAINED = (CaseType.EXPLANATION, CaseType.CONTEST)
SALT_BYTES = 16
GONE = "The content of this decision was erased: there is nothing left to explain."


def letters_of(case: Case) -> "QuerySet[Letter]":
    """The letters of a case, by number."""
    return case.letters.select_related("item", "written_by", "approved_by").order_by("number")


def get_letter(by: Actor, case: Case, number: int) -> Letter:
    """One letter of a case that the actor may see, by its number, or 404."""
    return get_row(letters_of(case).filter(case__in=visible_cases(by)), number=number)


def require_words(by: Actor, case: Case) -> Actor:
    """The actor, if they may read what a decision says in this case; raises `PermissionDenied`."""
    reader = reader_in(case, by)
    if not reader.may("decision.read_payload"):
        raise PermissionDenied("A letter tells what a decision says, which your role does not show.")
    return reader


def draft_letter(*, by: Actor, case: Case, item: CaseItem) -> Letter:
    """A letter to the person whom the decision of this item concerns, in the words that the record gives."""
    with tenant_atomic(by.tenant_id):
        locked = open_to_change(by, case.pk)
        reader = require_words(by, locked)
        if not roles_in(locked, by) & {CaseRole.LEAD, CaseRole.PREPARER}:
            raise refuse(locked, by, "Only this case's lead or preparer writes a letter.")
        if locked.type not in EXPLAINED or locked.is_still:
            raise refuse(locked, by, "Letters are written in an open case that explains or reconsiders a decision.")
        if item.case_id != locked.pk:
            raise refuse(locked, by, "This item belongs to another case.")
        text = _drafted(reader, locked, item)
        row = Letter(case=locked, item=item, number=_next_number(locked), written_by_id=person_of(by))
        _keep_words(row, text)
        row.save(force_insert=True)
        body = _body(row) | {"item": item.ordinal, "decision": str(item.decision_id)}
        record(locked, by, Tag.LETTER_DRAFTED, body, action="draft", to=row.state, about=row)
    return row


def _next_number(case: Case) -> int:
    return (Letter.objects.filter(case=case).aggregate(last=Max("number"))["last"] or 0) + 1


def _drafted(reader: Actor, case: Case, item: CaseItem) -> LetterText:
    decision = item.decision
    content = open_payload(decision, by=reader, purpose=f"letter of case {case.reference}")
    if content is None:
        raise ValidationError({"item": GONE})
    members = members_of(content)
    asked, answered = asked_and_answered(members, QUOTED)
    told = Record(
        system=decision.deployment.system,
        task=decision.deployment.task,
        occurred_at=decision.occurred_at,
        model=str(decision.model_version) if decision.model_version.name else "",
        asked=asked,
        answered=answered,
        members=members,
        policies=[_rules(line) for line in policies_of(decision)],
        findings=policy_document(content).get("findings", []),
    )
    return draft(told, secrets.token_hex(SALT_BYTES))


def _rules(line: PolicyLine) -> RuleSet:
    version = f"version {line.version.replace('v', '')}" if line.version else ""
    return RuleSet(line.title or line.slug, version, line.mode == Mode.SHADOW)


def _keep_words(row: Letter, text: LetterText) -> None:
    """Each version of the words is kept; the row names the present one."""
    row.text_id, row.text_sha256 = uuid7_now(), text.sha256
    if not seal_beside(row.text_id, row.item.decision_id, text.canonical()):
        raise ValidationError({"item": GONE})


def _body(row: Letter) -> dict[str, Any]:
    return {"letter": row.number, "text_sha256": bytes(row.text_sha256).hex()}


def edit_letter(*, by: Actor, letter: Letter, said: dict[str, str], version: int | None = None) -> Letter:
    """Change parts of a draft; those that `said` does not name stay as they are."""
    with tenant_atomic(by.tenant_id):
        case, row = _locked(by, letter, version)
        require_words(by, case)
        text = _words(row)
        if text is None:
            raise ValidationError(GONE)
        _keep_words(row, _with(text, said))
        row.written_by_id, row.written_at = person_of(by), datetime.now(UTC)
        _step(case, by, row, LetterAction.EDIT, also=["text_id", "text_sha256", "written_by", "written_at"])
    return row


def _with(text: LetterText, said: dict[str, str]) -> LetterText:
    kept = {name: getattr(text, name) for name in LetterText.__slots__}
    return LetterText(**kept | {name: value.strip() for name, value in said.items()})


def approve_letter(*, by: Actor, letter: Letter, version: int | None = None) -> Letter:
    """Somebody who wrote none of it has read it and lets it leave: its PDF is made, and never changes again."""
    with tenant_atomic(by.tenant_id):
        case, row = _locked(by, letter, version)
        require_words(by, case)
        if case.events.filter(letter=row, action__in=["draft", LetterAction.EDIT], actor=by.reference).exists():
            raise refuse(case, by, "Nobody approves their own words: you wrote a part of this letter.")
        text = _words(row)
        if text is None:
            raise ValidationError(GONE)
        if text.lacking:
            raise ValidationError(f"Not every part is written yet: {', '.join(text.lacking)}.")
        row.approved_by_id, row.approved_at = person_of(by), datetime.now(UTC)
        pdf = render_letter(page_of(case, row, text, by.label))
        row.document_id, row.pdf_sha256 = uuid7_now(), hashlib.sha256(pdf).digest()
        seal_beside(row.document_id, row.item.decision_id, pdf)
        also = ["approved_by", "approved_at", "document_id", "pdf_sha256"]
        _step(case, by, row, LetterAction.APPROVE, also=also, pdf_sha256=bytes(row.pdf_sha256).hex())
    return row


def send_letter(*, by: Actor, letter: Letter, how: str, version: int | None = None) -> Letter:
    """It has left, in this way; the statutory clock of the case, if one runs, has been met by it."""
    with tenant_atomic(by.tenant_id):
        case, row = _locked(by, letter, version)
        row.sent_at = datetime.now(UTC)
        _step(case, by, row, LetterAction.SEND, how, also=["sent_at"])
        kind = CLOCK_OF[CaseType(case.type)]
        if case.clocks.filter(kind=kind, met_at__isnull=True).exists():
            meet_clock(by=by, case=case, kind=kind, how=f"{row.reference}: {how.strip()}")
    return row


def withdraw_letter(*, by: Actor, letter: Letter, why: str, version: int | None = None) -> Letter:
    """It does not leave."""
    with tenant_atomic(by.tenant_id):
        case, row = _locked(by, letter, version)
        _step(case, by, row, LetterAction.WITHDRAW, why)
    return row


def _locked(by: Actor, letter: Letter, version: int | None) -> tuple[Case, Letter]:
    case = open_to_change(by, letter.case_id)
    return case, lock_member(case, letter, LETTER_STEPS, letter_parties(case, by), version)


def _step(
    case: Case,
    by: Actor,
    row: Letter,
    action: LetterAction,
    text: str = "",
    also: Sequence[str] = (),
    **more: str,
) -> None:
    data = {"text_sha256": bytes(row.text_sha256).hex(), **more}
    parties = letter_parties(case, by)(row)
    step(case, by, row, LETTER_STEPS, action, parties, tag=Tag.LETTER_MOVED, text=text, data=data, also=also)


def page_of(case: Case, row: Letter, text: LetterText, approver: str) -> LetterPage:
    """What is printed."""
    return LetterPage(
        organisation=case.tenant.name,
        reference=f"{case.reference}/{row.reference}",
        record=str(row.item.decision_id),
        text=text,
        approved_by=approver,
        approved_at=row.approved_at,
    )


def read_letter(*, by: Actor, letter: Letter) -> LetterText | None:
    """The words, their reading recorded; None when they were erased."""
    with tenant_atomic(by.tenant_id):
        _noted(by, letter)
        return _words(letter)


def letter_pdf(*, by: Actor, letter: Letter) -> bytes | None:
    """The letter as it was approved, or a draft of it marked as such; None when it was erased."""
    with tenant_atomic(by.tenant_id):
        case = _noted(by, letter)
        if letter.document_id:
            return opened_beside([letter.document_id]).get(letter.document_id)
        text = _words(letter)
        return render_letter(page_of(case, letter, text, "")) if text else None


def _noted(by: Actor, letter: Letter) -> Case:
    case = open_to_change(by, letter.case_id)
    require_words(by, case)
    purpose = f"{letter.reference} of case {case.reference}"
    append(Tag.PAYLOAD_READ, by=by, body={"decisions": [str(letter.item.decision_id)], "purpose": purpose})
    return case


def _words(row: Letter) -> LetterText | None:
    data = opened_beside([row.text_id]).get(row.text_id)
    return LetterText.parse(data) if data else None


def history_of(letter: Letter) -> "QuerySet[CaseEvent]":
    """What became of it, newest first."""
    rows = CaseEvent.objects.filter(case_id=letter.case_id, letter=letter)
    return rows.select_related("letter", "finding", "request", "review_note", "file").order_by("-id")


def open_steps(case: Case, by: Actor, letter: Letter) -> tuple[str, ...]:
    """What this person may do with it now."""
    return () if case.is_still else options(LETTER_STEPS, letter.state, letter_parties(case, by)(letter))


def may_draft(case: Case, by: Actor) -> bool:
    """Whether the form for a new letter is worth showing; the service decides."""
    is_writer = bool(roles_in(case, by) & {CaseRole.LEAD, CaseRole.PREPARER})
    return is_writer and case.type in EXPLAINED and not case.is_still


def is_over(letter: Letter) -> bool:
    """Whether nothing more becomes of it."""
    return letter.state in {LetterState.SENT, LetterState.WITHDRAWN}
