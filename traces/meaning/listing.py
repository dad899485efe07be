"""What the decision list and its API show when somebody searches by meaning, and what a decision's page adds."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.urls import reverse

from tenants.actors import Actor
from tenants.events import Tag
from tenants.ledger.log import append
from traces.costs.charts import money
from traces.meaning import near
from traces.meaning.evaluators import EVALUATORS
from traces.meaning.feedback import feedback_on
from traces.meaning.judge import NAME as JUDGE
from traces.meaning.near import Near, Nearest
from traces.meaning.remarks import read_remarks
from traces.models import Assessment, Decision, Feedback
from traces.recording import rfc3339
from traces.representation import summary
from traces.selectors import DecisionFilter, Page

BY = "by"  # the parameter; `by=meaning` asks for it even where words were found
_KNOWN = {evaluator.name: evaluator for evaluator in EVALUATORS}


def nearest_for(query: Mapping[str, str], wanted: DecisionFilter, found: Page, by: Actor) -> Nearest | None:
    """The nearest in meaning to `q`: when that is asked for, and where no id and no words were found."""
    if not wanted.q or wanted.id_only or query.get("cursor") or not by.may("decision.read_payload"):
        return None
    is_miss = not found.decisions and not found.is_partial
    return near.search(wanted.q, wanted, by=by) if query.get(BY) == "meaning" or is_miss else None


def shown_items(found: Sequence[Near], by: Actor, purpose: str) -> list[dict[str, Any]]:
    """As the API shows them. That they are near tells of their content, so they are recorded as read."""
    if found:
        append(Tag.PAYLOAD_READ, by=by, body={"decisions": [str(n.decision.pk) for n in found], "purpose": purpose})
    return [summary(one.decision) | {"likeness": round(one.likeness, 4)} for one in found]


def assessments_of(decision: Decision) -> list[Assessment]:
    """Everything that evaluators found, the newest version of each first."""
    return list(Assessment.objects.filter(decision_id=decision.pk).order_by("evaluator", "-assessed_at", "-id"))


def reasons_of(rows: Sequence[Assessment], by: Actor) -> dict[uuid.UUID, str]:
    """The judge's reasons, as far as the actor may read them."""
    judged = [row.pk for row in rows if row.evaluator == JUDGE]
    return read_remarks(judged) if judged and by.may("decision.read_payload") else {}


def assessment_json(row: Assessment, reason: str = "") -> dict[str, Any]:
    """One finding, with what it cost and took."""
    shown = {
        "id": str(row.pk),
        "evaluator": row.evaluator,
        "version": row.version,
        "score": row.score,
        "label": row.label,
        "figures": row.figures,
        "cost": {"micros": row.cost_micros, "currency": row.currency} if row.cost_micros is not None else None,
        "took_us": row.took_us,
        "assessed_at": rfc3339(row.assessed_at),
    }
    return shown | ({"reason": reason} if reason else {})


def feedback_json(row: Feedback, comment: str = "") -> dict[str, Any]:
    """One judgement, as it was given."""
    shown = {
        "id": str(row.pk),
        "decision": str(row.decision_id),
        "name": row.name,
        "label": row.label,
        "score": row.score,
        "comment": comment,
        "by": row.given_by,
        "recorded_by": row.actor,
        "supersedes": str(row.supersedes_id) if row.supersedes_id else None,
        "given_at": rfc3339(row.given_at),
    }
    return {name: value for name, value in shown.items() if value not in ("", None)}


def panels(decision: Decision, by: Actor, slug: str) -> dict[str, Any]:
    """Context of the panels on a decision's page: see templates/traces/_meaning.html."""
    rows = assessments_of(decision)
    reasons, judged = reasons_of(rows, by), feedback_on(decision, by=by)
    superseded = {row.supersedes_id for row, _ in judged}
    newest = {row.evaluator: row for row in reversed(rows)}
    return {
        "assessments": [_assessment_entry(row, reasons.get(row.pk, "")) for row in newest.values()],
        "feedback": [_feedback_entry(row, comment, row.pk in superseded) for row, comment in judged],
        "feedback_url": reverse("decision-feedback", args=[slug, decision.pk]) if by.may("feedback.write") else None,
        "similar_url": reverse("decision-similar", args=[slug, decision.pk])
        if by.may("decision.read_payload")
        else None,
    }


def _assessment_entry(row: Assessment, reason: str) -> dict[str, Any]:
    known = _KNOWN.get(row.evaluator)
    good = row.label in known.good if known else row.label == "good"
    spent = money(row.cost_micros, row.currency) if row.cost_micros and row.currency else ""
    return {
        "title": known.title if known else "Judged by a model",
        "label": row.label,
        "tone": "quiet" if good else "caution",
        "score": f"{row.score:.2f}" if row.score is not None else "",
        "about": known.about if known else "score",
        "version": row.version,
        "detail": ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in row.figures.items()),
        "cost": spent or ("unpriced" if row.cost_micros is None else ""),
        "reason": reason,
    }


def _feedback_entry(row: Feedback, comment: str, superseded: bool) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "label": row.label,
        "score": f"{row.score:g}" if row.score is not None else "",
        "comment": comment,
        "hidden": row.has_comment and not comment,
        "by": row.given_by,
        "at": row.given_at,
        "superseded": superseded,
    }
