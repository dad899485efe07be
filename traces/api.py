"""Reading decisions over REST."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import MethodNotAllowed, ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.context import tenant_atomic
from tenants.permissions import actor_of
from traces.contents import record_search
from traces.ingest import post_decisions
from traces.meaning.listing import nearest_for, shown_items
from traces.representation import detail, summary
from traces.selectors import MAX_PAGE_SIZE, PAGE_SIZE, DecisionFilter, FilterError, get_decision, open_payload, page

PROBLEM = OpenApiResponse(OpenApiTypes.OBJECT, description="Problem details (RFC 9457)")
FILTERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description=text)
    for name, text in {
        "since": "From this time on (RFC 3339, or a date)",
        "until": "Before this time",
        "system": "The AI application",
        "environment": "production, staging, …",
        "task": "The task within the system",
        "model": "Model name",
        "prompt": "Its name and version, apart by a space",
        "policy": "A policy of which a rule triggered",
        "action": "What the policies asked for: allow, warn, block, …",
        "user": "The application's user id",
        "session": "The application's session id",
        "trace_id": "W3C trace id, 32 hex digits",
        "status": "`failed`: AI actions that ended in an error (their outcome is `error`)",
        "feedback": "A label of its standing feedback, or `any`",
        "by": "`meaning`: rank by nearness in meaning to `q` (also done where no id and no word is found)",
        "q": "An id of any kind (record, external, trace, session, user), else words; phrases in double quotes. Where "
        "many hold a phrase's words, a page compares some of them: it is `partial`, and `older` goes on",
        "cursor": "From a page's `older` or `newer`",
        "limit": f"Rows a page, at most {MAX_PAGE_SIZE}",
    }.items()
]


def page_size(text: str) -> int:
    """The `limit` of a list: 1 or more, at most `MAX_PAGE_SIZE` are given. Raises `FilterError`."""
    if not text:
        return PAGE_SIZE
    if not (text.isascii() and text.isdecimal() and text.strip("0")):
        raise FilterError("limit is a whole number from 1 on.")
    return min(int(text[:9]), MAX_PAGE_SIZE)


@method_decorator(login_not_required, name="dispatch")
class DecisionList(APIView):
    """Decisions: read newest first, and recorded."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read", "POST": "decision.write"}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Recording goes past DRF: see `traces.ingest`."""
        return post_decisions(request) if request.method == "POST" else super().dispatch(request, *args, **kwargs)

    @extend_schema(operation_id="decisions_list", parameters=FILTERS, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        actor = actor_of(request)
        try:
            size = page_size(request.query_params.get("limit", ""))
            with tenant_atomic(actor.tenant_id):
                wanted = DecisionFilter.from_query(request.query_params).for_reader(actor)
                found = page(wanted, request.query_params.get("cursor", ""), size)
                if nearest := nearest_for(request.query_params, wanted, found, actor):
                    items = shown_items(nearest.found[:size], actor, "search by meaning")
                    return Response({"items": items, "newer": None, "older": None, "matched_by": "meaning"})
                items = [summary(decision) for decision in found.decisions]
                if found.by_words:
                    record_search(found.decisions, by=actor)
        except FilterError as error:
            raise ParseError(str(error)) from None
        neighbours = {"newer": found.newer or None, "older": found.older or None}
        return Response({"items": items} | neighbours | ({"partial": True} if found.is_partial else {}))

    @extend_schema(
        operation_id="decisions_create",
        description=post_decisions.__doc__,
        request=OpenApiTypes.OBJECT,
        responses={201: OpenApiTypes.OBJECT, 409: PROBLEM, 413: PROBLEM, 422: PROBLEM, 429: PROBLEM, 503: PROBLEM},
        examples=[
            OpenApiExample(
                "The least", value={"system": "loan-assistant", "input": "…", "output": "…"}, request_only=True
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Documented here, answered in `dispatch`."""
        raise MethodNotAllowed("POST")


@method_decorator(login_not_required, name="dispatch")
class DecisionDetail(APIView):
    """One decision with its content; reading it is recorded."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read"}

    @extend_schema(operation_id="decisions_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            decision = get_decision(actor, pk)
            if not actor.may("decision.read_payload"):
                return Response(summary(decision))
            return Response(detail(decision, open_payload(decision, by=actor, purpose="api")))
