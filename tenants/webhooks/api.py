"""Endpoints and deliveries over REST."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.context import tenant_atomic
from tenants.permissions import actor_of
from tenants.problems import as_problem
from tenants.webhooks import selectors, services
from tenants.webhooks.presentation import delivery_document, endpoint_document
from tenants.webhooks.services import PERMISSION, EndpointTerms

PROBLEM = OpenApiResponse(OpenApiTypes.OBJECT, description="Problem details (RFC 9457)")
MADE = {201: OpenApiTypes.OBJECT, 400: PROBLEM}
BEFORE = OpenApiParameter("before", OpenApiTypes.UUID, description="Go on from a page's `before`")
MEMBERS = {"name": str, "address": str, "kind": str, "event_types": list}


def read_terms(data: Any) -> EndpointTerms:
    """Terms from a JSON body; raises `ValidationError` naming the member."""
    if not isinstance(data, dict):
        raise ValidationError({"body": "An endpoint is a JSON object."})
    for name, value in data.items():
        kind = MEMBERS.get(name)
        if kind is None or not isinstance(value, kind):
            raise ValidationError({name: f"Expected: {kind.__name__}." if kind else "No such member of an endpoint."})
    if not all(isinstance(one, str) for one in data.get("event_types", ())):
        raise ValidationError({"event_types": "Names of events."})
    return EndpointTerms(**({"name": "", "address": ""} | data))


@method_decorator(login_not_required, name="dispatch")
class WebhookList(APIView):
    """Who is told; and adding one. Its secret is in that answer, and never again."""

    permissions: ClassVar[dict[str, str]] = {"GET": PERMISSION, "POST": PERMISSION}

    @extend_schema(operation_id="webhooks_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            return Response({"items": [endpoint_document(row) for row in selectors.list_endpoints(actor)]})

    @extend_schema(operation_id="webhooks_create", request=OpenApiTypes.OBJECT, responses=MADE)
    def post(self, request: Request) -> Response:
        with as_problem():
            made = services.create_endpoint(by=actor_of(request), terms=read_terms(request.data))
        return Response(endpoint_document(made.row, made.secret), status=201)


@method_decorator(login_not_required, name="dispatch")
class WebhookDetail(APIView):
    """One endpoint: read, changed (an empty `address` stays as it is), or removed with its log."""

    permissions: ClassVar[dict[str, str]] = dict.fromkeys(("GET", "PUT", "DELETE"), PERMISSION)

    @extend_schema(operation_id="webhooks_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            return Response(endpoint_document(selectors.get_endpoint(actor, pk)))

    @extend_schema(operation_id="webhooks_update", request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        with as_problem():
            row = services.change_endpoint(by=actor_of(request), pk=pk, terms=read_terms(request.data))
        return Response(endpoint_document(row))

    @extend_schema(operation_id="webhooks_remove", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        services.remove_endpoint(by=actor_of(request), pk=pk)
        return Response(status=204)


@method_decorator(login_not_required, name="dispatch")
class WebhookStep(APIView):
    """`ping` sends a test, `rotate` answers with a new secret (the old one signs for a day); `enable`, `disable`."""

    permissions: ClassVar[dict[str, str]] = {"POST": PERMISSION}

    @extend_schema(operation_id="webhooks_step", request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, pk: uuid.UUID, step: str) -> Response:
        actor = actor_of(request)
        with as_problem(), tenant_atomic(actor.tenant_id):
            if step == "ping":
                return Response(delivery_document(selectors.with_attempts(services.ping_endpoint(by=actor, pk=pk))))
            if step == "rotate":
                made = services.rotate_secret(by=actor, pk=pk)
                return Response(endpoint_document(made.row, made.secret))
            if step == "enable":
                return Response(endpoint_document(services.enable_endpoint(by=actor, pk=pk)))
            if step == "disable":
                return Response(endpoint_document(services.disable_endpoint(by=actor, pk=pk)))
        raise Http404("No such step.")


@method_decorator(login_not_required, name="dispatch")
class WebhookDeliveries(APIView):
    """What was sent to an endpoint, newest first, with each try and the head of what was answered."""

    permissions: ClassVar[dict[str, str]] = {"GET": PERMISSION}

    @extend_schema(operation_id="webhooks_deliveries", parameters=[BEFORE], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor, text = actor_of(request), request.query_params.get("before", "")
        try:
            before = uuid.UUID(text) if text else None
        except ValueError:
            raise ParseError("`before` is a UUID.") from None
        with tenant_atomic(actor.tenant_id):
            page = selectors.list_deliveries(selectors.get_endpoint(actor, pk), before=before)
        items = [delivery_document(one) for one in page.items]
        return Response({"items": items, "before": str(page.before) if page.before else None})


@method_decorator(login_not_required, name="dispatch")
class DeliveryResend(APIView):
    """Send a delivery again now, under the same `webhook-id`."""

    permissions: ClassVar[dict[str, str]] = {"POST": PERMISSION}

    @extend_schema(operation_id="deliveries_resend", request=None, responses={202: OpenApiTypes.OBJECT, 400: PROBLEM})
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with as_problem(), tenant_atomic(actor.tenant_id):
            found = selectors.with_attempts(services.resend(by=actor, pk=pk))
        return Response(delivery_document(found), status=202)
