"""Meaning over REST: what is similar, what was found, and what people and programs think."""

import uuid
from typing import Any, ClassVar

import orjson
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.access import get_row
from tenants.context import tenant_atomic
from tenants.permissions import actor_of
from traces.api import FILTERS, PROBLEM, page_size
from traces.meaning import listing, near
from traces.meaning.feedback import FeedbackConflict, Judgement, feedback_on, give_feedback, visible_to
from traces.models import Decision, Submission
from traces.recording import key_id
from traces.selectors import DecisionFilter, FilterError, get_decision, parse_trace

MEMBERS = frozenset({"decision", "external_id", "trace_id", "name", "label", "score", "comment", "by", "supersedes"})


class Superseded(exceptions.APIException):
    """409."""

    status_code = 409
    default_detail = "Conflict"


@method_decorator(login_not_required, name="dispatch")
class SimilarList(APIView):
    """The decisions nearest to one in meaning, within the filters; `embedded`: the encoder has seen it."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read_payload"}

    @extend_schema(
        operation_id="decisions_similar",
        parameters=[one for one in FILTERS if one.name not in {"q", "cursor"}],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        try:
            size = min(page_size(request.query_params.get("limit", "10")), near.MOST_SHOWN)
            with tenant_atomic(actor.tenant_id):
                decision = get_decision(actor, pk)
                wanted = DecisionFilter.from_query(request.query_params)
                found = near.similar(decision, by=actor, wanted=wanted, size=size)
                items = listing.shown_items(found.found, actor, "similar decisions") if found else []
        except FilterError as error:
            raise exceptions.ParseError(str(error)) from None
        return Response({"items": items, "embedded": found is not None, "partial": bool(found and found.is_partial)})


@method_decorator(login_not_required, name="dispatch")
class AssessmentList(APIView):
    """What every version of every evaluator found about a decision."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read"}

    @extend_schema(operation_id="decisions_assessments", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            rows = listing.assessments_of(get_decision(actor, pk))
            reasons = listing.reasons_of(rows, actor)
        return Response({"items": [listing.assessment_json(row, reasons.get(row.pk, "")) for row in rows]})


@method_decorator(login_not_required, name="dispatch")
class DecisionFeedback(APIView):
    """Every judgement on a decision, the newest first."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read"}

    @extend_schema(operation_id="decisions_feedback", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            found = feedback_on(get_decision(actor, pk), by=actor)
        return Response({"items": [listing.feedback_json(row, comment) for row, comment in found]})


@method_decorator(login_not_required, name="dispatch")
class FeedbackList(APIView):
    """Judging a decision."""

    permissions: ClassVar[dict[str, str]] = {"POST": "feedback.write"}

    @extend_schema(
        operation_id="feedback_create",
        description="A person's or a program's judgement on a decision: `label`, `score` or `comment`, under a `name`. "
        "The decision by its id (`decision`), by `external_id`, or by `trace_id` (its newest decision). Append-only: a "
        "correction names what it `supersedes`. `Idempotency-Key` is honoured.",
        request=OpenApiTypes.OBJECT,
        responses={200: OpenApiTypes.OBJECT, 201: OpenApiTypes.OBJECT, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
        examples=[OpenApiExample("Thumbs down", value={"external_id": "loan-2291", "label": "bad"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        actor, body = actor_of(request), request.data
        with tenant_atomic(actor.tenant_id):
            decision_id = _decision_named(body, visible_to(actor), actor.source_id)
        try:
            row, told_before = give_feedback(
                by=actor,
                decision_id=decision_id,
                judgement=_judgement(body),
                idempotency_key=request.headers.get("Idempotency-Key", "")[:200],
            )
        except ValidationError as refused:
            raise exceptions.ValidationError(refused.message_dict) from None
        except FeedbackConflict as conflict:
            raise Superseded(str(conflict)) from None
        return Response(listing.feedback_json(row, str(body.get("comment", ""))), status=200 if told_before else 201)


def _decision_named(body: Any, rows: QuerySet[Decision], source_id: uuid.UUID | None) -> uuid.UUID:
    """The decision that a body is about. Raises `Http404`, or a validation error where it names none or several."""
    if not isinstance(body, dict):
        raise exceptions.ValidationError({"body": "One JSON object."})
    if unknown := sorted(body.keys() - MEMBERS):
        raise exceptions.ValidationError(dict.fromkeys(unknown, "No such member."))
    named = {name: body[name] for name in ("decision", "external_id", "trace_id") if body.get(name)}
    if len(named) != 1:
        raise exceptions.ValidationError({"decision": "Name it by one of decision, external_id, trace_id."})
    ((name, value),) = named.items()
    if name == "external_id":
        return _external(str(value), rows, source_id)
    if name == "trace_id":
        try:
            rows = rows.filter(trace_id=uuid.UUID(hex=parse_trace(str(value))))
        except FilterError as error:
            raise exceptions.ValidationError({"trace_id": str(error)}) from None
        newest = rows.order_by("-occurred_at", "-id").first()
        if newest is None:
            raise Http404("No such decision.")
        return newest.pk
    return get_row(rows, pk=value).pk


def _external(text: str, rows: QuerySet[Decision], source_id: uuid.UUID | None) -> uuid.UUID:
    """By the id that its own source gave it."""
    if source_id is None:
        raise exceptions.ValidationError({"external_id": "Only a key that is bound to a source has external ids."})
    answer = Submission.objects.filter(pk=key_id("external", source_id.bytes, text.encode())).first()
    return get_row(rows, pk=orjson.loads(bytes(answer.answer))["id"] if answer else None).pk


def _judgement(body: dict[str, Any]) -> Judgement:
    """What a body says; raises a validation error for members of another type."""
    texts = {name: body.get(name, "") for name in ("name", "label", "comment", "by")}
    problems = {name: "Text." for name, value in texts.items() if not isinstance(value, str)}
    score = body.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float | None):
        problems["score"] = "A number."
    try:
        supersedes = uuid.UUID(str(body["supersedes"])) if body.get("supersedes") else None
    except ValueError:
        problems["supersedes"] = "The id of earlier feedback."
    if problems:
        raise exceptions.ValidationError(problems)
    name = texts["name"].strip() or "quality"
    number = float(score) if score is not None else None
    return Judgement(name, texts["label"].strip(), number, texts["comment"].strip(), texts["by"].strip(), supersedes)
