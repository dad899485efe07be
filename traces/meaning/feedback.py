"""Judgements on decisions by people and programs: the only writer of feedback. Each is a leaf in the ledger.

Nothing is overwritten: a correction is feedback that names what it supersedes, once, on the same decision. What is
said in words can be erased with the decision's content; the leaf commits to a salted digest of it, which then tells
nothing.
"""

import hashlib
import math
import os
import uuid
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from tenants import crypto
from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.canonical import dumps
from tenants.ledger.log import append
from traces.meaning.remarks import MOST_CHARACTERS, read_remarks, write_remark
from traces.models import Decision, Feedback
from traces.recording import key_id

MOST_NAME = 60
MOST_BY = 200
MOST_SHOWN = 100
SALT_CHARACTERS = 32  # before a comment, inside its remark
DEFAULT_NAME = "quality"


class FeedbackConflict(ValueError):
    """The idempotency key came before with other content, or what it supersedes is superseded already."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is thought of a decision: at least one of label, score, comment."""

    name: str = DEFAULT_NAME
    label: str = ""
    score: float | None = None
    comment: str = ""
    given_by: str = ""
    supersedes: uuid.UUID | None = None

    def checked(self) -> "Judgement":
        """Itself; raises `ValidationError` by member."""
        problems = {}
        for name, text, most in (
            ("name", self.name, MOST_NAME), ("label", self.label, MOST_NAME), ("by", self.given_by, MOST_BY),
            ("comment", self.comment, MOST_CHARACTERS),
        ):  # fmt: skip
            if len(text) > most or "\0" in text:
                problems[name] = f"At most {most:,} characters, without U+0000."
        if not self.name:
            problems["name"] = "What is judged: helpful, correct, …"
        if self.score is not None and not (math.isfinite(self.score) and abs(self.score) <= 1e6):
            problems["score"] = "A number between -1,000,000 and 1,000,000."
        if self.score is None and not self.label and not self.comment.strip():
            problems["label"] = "Give a label, a score or a comment."
        if problems:
            raise ValidationError(problems)
        return self


def give_feedback(
    *, by: Actor, decision_id: uuid.UUID, judgement: Judgement, idempotency_key: str = ""
) -> tuple[Feedback, bool]:
    """Record a judgement; returns it, and whether it was told before (same idempotency key, same content).

    Raises `Http404` for a decision that is missing, foreign, or of another source than the key's; `ValidationError`;
    `FeedbackConflict`.
    """
    require(by, "feedback.write")
    judgement.checked()
    request_id = key_id("feedback", by.reference.encode(), idempotency_key.encode()) if idempotency_key else None
    with tenant_atomic(by.tenant_id):
        fingerprint = crypto.derive(
            crypto.tenant_key(by.tenant_id), "feedback", dumps(_content(decision_id, judgement))
        )
        decision = get_row(visible_to(by), pk=decision_id)
        if judgement.supersedes:
            get_row(Feedback.objects.filter(decision_id=decision.pk), pk=judgement.supersedes)
        earlier = Feedback.objects.filter(request_id=request_id).first() if request_id else None
        if earlier is None:
            try:
                with transaction.atomic():
                    return _store(by, decision.pk, judgement, request_id, fingerprint), False
            except IntegrityError:
                earlier = Feedback.objects.filter(request_id=request_id).first() if request_id else None
        if earlier is None:
            raise FeedbackConflict("It is superseded already; correct the newest.")
        if bytes(earlier.fingerprint) != fingerprint:
            raise FeedbackConflict("This Idempotency-Key came before with other content.")
        return earlier, True


def visible_to(by: Actor) -> QuerySet[Decision]:
    """Decisions that a judgement may be about: a key that is bound to a source judges its own."""
    return Decision.objects.filter(source_id=by.source_id) if by.source_id else Decision.objects.all()


def _content(decision_id: uuid.UUID, judgement: Judgement) -> dict[str, Any]:
    said = {
        "decision": str(decision_id),
        "name": judgement.name,
        "label": judgement.label,
        "score": judgement.score,
        "comment": judgement.comment,
        "given_by": judgement.given_by,
        "supersedes": str(judgement.supersedes) if judgement.supersedes else None,
    }
    return {name: value for name, value in said.items() if value not in ("", None)}


def _store(
    by: Actor, decision_id: uuid.UUID, judgement: Judgement, request_id: uuid.UUID | None, fingerprint: bytes
) -> Feedback:
    comment = judgement.comment.strip()
    row = Feedback(
        decision_id=decision_id,
        name=judgement.name,
        label=judgement.label,
        score=judgement.score,
        given_by=judgement.given_by,
        actor=by.reference,
        has_comment=bool(comment),
        supersedes_id=judgement.supersedes,
        request_id=request_id,
        fingerprint=fingerprint,
    )
    row.save(force_insert=True)
    body = {name: value for name, value in _content(decision_id, judgement).items() if name != "comment"}
    if comment:
        salted = f"{os.urandom(SALT_CHARACTERS // 2).hex()}{comment}"
        if not write_remark(row.pk, decision_id, salted):
            raise ValidationError({"comment": "This decision's content was erased; nothing is written of it again."})
        body["comment_sha256"] = hashlib.sha256(salted.encode()).hexdigest()
    append(Tag.FEEDBACK_GIVEN, by=by, body={"feedback": str(row.pk)} | body, ref=decision_id)
    return row


def standing_feedback() -> QuerySet[Feedback]:
    """What nobody has corrected."""
    return Feedback.objects.exclude(pk__in=Feedback.objects.filter(supersedes_id__isnull=False).values("supersedes_id"))


def feedback_on(decision: Decision, *, by: Actor) -> list[tuple[Feedback, str]]:
    """Every judgement on a decision, the newest first, with its comment as far as the actor may read it."""
    rows = list(Feedback.objects.filter(decision_id=decision.pk).order_by("-id")[:MOST_SHOWN])
    spoken = [row.pk for row in rows if row.has_comment]
    comments = read_remarks(spoken) if spoken and by.may("decision.read_payload") else {}
    return [(row, comments.get(row.pk, "")[SALT_CHARACTERS:]) for row in rows]


def judged(label: str) -> QuerySet[Feedback]:
    """Standing feedback with a label; `any` for any."""
    rows = standing_feedback()
    return rows if label == "any" else rows.filter(label=label)
