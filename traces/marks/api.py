"""Events over REST: deployments, incidents, prompt releases."""

from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.context import tenant_atomic
from tenants.permissions import actor_of
from tenants.problems import problem
from traces.api import page_size
from traces.marks.selectors import MarkFilter, mark_page
from traces.marks.services import record_events
from traces.marks.submissions import read_events
from traces.models import Mark
from traces.recording import rfc3339
from traces.selectors import FilterError
from traces.services import Conflict
from traces.submissions import BodyError, ItemsRefused

PROBLEM = OpenApiResponse(OpenApiTypes.OBJECT, description="Problem details (RFC 9457)")
FILTERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description=text)
    for name, text in {
        "since": "From this time on (RFC 3339, or a date)",
        "until": "Before this time",
        "kind": "deployment, prompt_release, incident, config_change or infrastructure",
        "system": "Of this system, or of all of them",
        "instance": "Of this instance, or of all of them",
        "cursor": "From a page's `older`",
        "limit": "Rows a page, at most 200",
    }.items()
]
EXAMPLE = {
    "kind": "deployment",
    "title": "loan-assistant 2.5.0",
    "occurred_at": "2026-11-24T09:30:00Z",
    "external_id": "deploy-4711",
    "system": "loan-assistant",
    "version": "2.5.0",
}


@method_decorator(login_not_required, name="dispatch")
class EventList(APIView):
    """Events: read newest first, and recorded."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read", "POST": "event.write"}

    @extend_schema(operation_id="events_list", parameters=FILTERS, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        try:
            size = page_size(query.get("limit", ""))
            with tenant_atomic(actor_of(request).tenant_id):
                found = mark_page(MarkFilter.from_query(query), query.get("cursor", ""), size)
        except FilterError as error:
            raise ParseError(str(error)) from None
        return Response({"items": [event_document(mark) for mark in found.marks], "older": found.older or None})

    @extend_schema(
        operation_id="events_create",
        request=OpenApiTypes.OBJECT,
        responses={201: OpenApiTypes.OBJECT, 409: PROBLEM, 413: PROBLEM, 422: PROBLEM},
        examples=[OpenApiExample("A deployment", value=EXAMPLE, request_only=True)],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Record one event or an array (at most 1,000), all or nothing; the same `external_id` again is the same."""
        try:
            items, is_single = read_events(request.data)
            told = record_events(by=actor_of(request), items=items)
        except (BodyError, ItemsRefused, Conflict) as error:
            return refused(error)
        shown = [event_document(mark) for mark in told.marks]
        headers = {"Idempotent-Replayed": "true"} if told.is_replayed else {}
        return Response(shown[0] if is_single else shown, status=201, headers=headers)


def refused(error: BodyError | ItemsRefused | Conflict) -> HttpResponse:
    """Why nothing was stored, as a problem document."""
    if isinstance(error, BodyError):
        return problem(error.status, "The body cannot be read", str(error))
    if isinstance(error, ItemsRefused):
        errors = [{"index": one.index, "pointer": one.pointer, "detail": one.detail} for one in error.problems]
        return problem(422, "Some events are not valid; nothing was stored", errors=errors)
    errors = [
        {"index": index, "pointer": "/external_id", "detail": f"Already recorded with other content as {stored}."}
        for index, stored in sorted(error.stored.items())
    ]
    return problem(409, "Conflict", "Nothing was stored.", errors=errors)


def event_document(mark: Mark) -> dict[str, Any]:
    """An event as it was sent, with its id; empty members left out."""
    names = ("kind", "title", "external_id", "system", "environment", "instance", "version", "url", "detail")
    shown = {"id": str(mark.pk), "occurred_at": rfc3339(mark.occurred_at)}
    if mark.ended_at:
        shown["ended_at"] = rfc3339(mark.ended_at)
    return shown | {name: value for name in names if (value := getattr(mark, name))}
