"""Placing and releasing legal holds, and asking whether one covers what is about to go."""

import hashlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qsl

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.db.models import F, Max, Q, QuerySet

from audits.access import get_case, person_of
from audits.models import CaseItem, Erasure, Hold, HoldScope
from audits.subjects import seal_subject, subject_of
from audits.workflow import NotAllowed
from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import uuid7_now
from tenants.ledger.canonical import parse_strict
from tenants.ledger.log import append
from traces.erasing import decisions_of_subject, subject_hmac
from traces.models import Decision
from traces.selectors import DecisionFilter, FilterError, filtered

MOST_REASON, MOST_SUBJECT, MOST_SHOWN = 500, 200, 100
MOST_LIVE = 1_000  # of one tenant at a time: each is asked about what is about to go


@dataclass(frozen=True, slots=True)
class HoldText:
    """What is held, and why: `about` is a record's id, a filter as URL parameters, a subject's name or a case's id."""

    scope: str
    about: str
    reason: str
    review_on: date | None = None

    def checked(self) -> "HoldText":
        """Itself; raises `ValidationError` by member."""
        problems = {}
        if self.scope not in HoldScope.values:
            problems["scope"] = "A record, a query, a subject or a case."
        if not self.about or "\0" in self.about:
            problems["about"] = "Say what is held."
        if not self.reason.strip() or len(self.reason) > MOST_REASON or "\0" in self.reason:
            problems["reason"] = f"Say why, and who demands it; at most {MOST_REASON} characters."
        elif self.scope == HoldScope.SUBJECT and self.about.casefold() in self.reason.casefold():
            problems["reason"] = "This stays on record: leave the name out of it."
        if problems:
            raise ValidationError(problems)
        return self


def place_hold(*, by: Actor, text: HoldText) -> Hold:
    """Hold it from now on: an erasure that runs stops at its next step. Raises `ValidationError`, `Http404`."""
    require(by, "hold.place")
    text.checked()
    with tenant_atomic(by.tenant_id):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"hold-number:{by.tenant_id}"])
        # A step of an erasure that is under way ends first; the next one sees the hold.
        list(Erasure.objects.select_for_update().filter(state="running").values_list("pk"))
        if live_holds().count() >= MOST_LIVE:
            raise ValidationError(f"{MOST_LIVE:,} holds are live; hold a query in place of single records.")
        row = Hold(
            id=uuid7_now(),
            number=(Hold.objects.aggregate(last=Max("number"))["last"] or 0) + 1,
            scope=text.scope,
            reason=text.reason.strip(),
            review_on=text.review_on,
            placed_by=by.reference,
            placed_label=by.label,
        )
        _COVERS[HoldScope(text.scope)](by, row, text.about)
        row.save(force_insert=True)
        append(Tag.HOLD_PLACED, by=by, body=_body(row) | {"reason": row.reason}, ref=row.pk)
    return row


def _record(by: Actor, row: Hold, about: str) -> None:
    row.decision = get_row(Decision.objects.all(), pk=about.strip())


def _query(by: Actor, row: Hold, about: str) -> None:
    try:
        wanted = DecisionFilter.from_query(dict(_pairs(about)))
    except FilterError as error:
        raise ValidationError({"about": str(error)}) from None
    if not wanted.as_dict():
        raise ValidationError({"about": "A filter that holds everything says nothing: narrow it."})
    row.query = wanted.canonical()


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    return parse_qsl(text.strip().rpartition("?")[2])


def _subject(by: Actor, row: Hold, about: str) -> None:
    if len(about) > MOST_SUBJECT:
        raise ValidationError({"about": f"A name has at most {MOST_SUBJECT} characters."})
    row.subject_hmac = subject_hmac(by.tenant_id, about)
    row.sealed_subject = seal_subject(by.tenant_id, row.pk, about)


def _case(by: Actor, row: Hold, about: str) -> None:
    row.case = get_case(by, get_row_id(about))


def get_row_id(text: str) -> uuid.UUID:
    """An id as text, or as the last part of an address that was copied."""
    try:
        return uuid.UUID(text.strip().rstrip("/").rpartition("/")[2])
    except ValueError:
        raise ValidationError({"about": "The case's id, or the address of its page."}) from None


_COVERS: dict[HoldScope, Callable[[Actor, Hold, str], None]] = {
    HoldScope.RECORD: _record,
    HoldScope.QUERY: _query,
    HoldScope.SUBJECT: _subject,
    HoldScope.CASE: _case,
}


def release_hold(*, by: Actor, hold: Hold, reason: str) -> Hold:
    """End it, with the reason. Raises `PermissionDenied` for who placed it, `NotAllowed` where it has ended."""
    require(by, "hold.release")
    person_of(by)
    with tenant_atomic(by.tenant_id):
        row = get_row(Hold.objects.select_for_update(of=("self",)), pk=hold.pk)
        if row.placed_by == by.reference:
            raise PermissionDenied("Somebody else releases what you hold.")
        if row.released_at is not None:
            raise NotAllowed(f"{row.reference} was released already.")
        if not reason.strip() or len(reason) > MOST_REASON:
            raise ValidationError({"reason": f"Say why, in at most {MOST_REASON} characters."})
        row.released_by, row.released_label, row.released_at = by.reference, by.label, datetime.now(UTC)
        row.release_reason, row.sealed_subject = reason.strip(), b""
        row.save()
        append(Tag.HOLD_RELEASED, by=by, body=_body(row) | {"reason": row.release_reason}, ref=row.pk)
    return row


def _body(row: Hold) -> dict[str, Any]:
    """What is held, as the log has it: never a name."""
    return {
        "hold": row.number,
        "scope": row.scope,
        "decision": str(row.decision_id) if row.decision_id else None,
        "case": str(row.case_id) if row.case_id else None,
        "query_sha256": hashlib.sha256(bytes(row.query)).hexdigest() if row.query else None,
        "subject_hmac": bytes(row.subject_hmac).hex() if row.subject_hmac else None,
        "review_on": row.review_on.isoformat() if row.review_on else None,
    }


def live_holds() -> "QuerySet[Hold]":
    """Holds that have not ended, the oldest first."""
    return Hold.objects.filter(released_at=None).order_by("number")


def hold_on_subject(row: Erasure) -> Hold | None:
    """The first live hold on any record of the subject, or on the subject. Inside `tenant_atomic`."""
    holds = list(live_holds().select_related("case"))
    for hold in holds:
        if hold.subject_hmac is not None and bytes(hold.subject_hmac) == bytes(row.subject_hmac):
            return hold
    theirs = decisions_of_subject(subject_of(row)) if holds else Decision.objects.none()
    return next((hold for hold in holds if held_by(hold).filter(pk__in=theirs.values("pk")).exists()), None)


def held_by(hold: Hold) -> "QuerySet[Decision]":
    """The decisions that a hold covers."""
    if hold.decision_id is not None:
        return Decision.objects.filter(pk=hold.decision_id)
    if hold.scope == HoldScope.QUERY:
        return filtered(DecisionFilter.from_query(parse_strict(bytes(hold.query)))).order_by()
    if hold.case is not None:
        items = CaseItem.objects.filter(case=hold.case).values("decision_id")
        scope = filtered(DecisionFilter.from_query(parse_strict(bytes(hold.case.scope_query)))).order_by()
        return Decision.objects.filter(Q(pk__in=items) | Q(pk__in=scope.values("pk")))
    return decisions_of_subject(subject_of(hold))


def holds(by: Actor) -> list[Hold]:
    """Live holds first, then released ones, the newest of each. Inside `tenant_atomic`."""
    require(by, "hold.read")
    rows = Hold.objects.select_related("case").order_by(F("released_at").desc(nulls_first=True), "-number")
    return list(rows[:MOST_SHOWN])


def get_hold(by: Actor, pk: uuid.UUID) -> Hold:
    """One hold, or 404."""
    require(by, "hold.read")
    return get_row(Hold.objects.select_related("case"), pk=pk)
