"""Erasure over REST: a privacy portal files requests and follows them; approving is a person's."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse, HttpResponseBase
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api import conflict
from audits.erasure_files import certificate_file
from audits.erasures import (
    MOST_REASON,
    MOST_SUBJECT,
    Plea,
    erasures,
    get_erasure,
    request_erasure,
)
from audits.models import Erasure, Ground
from audits.workflow import NotAllowed
from tenants.context import tenant_atomic
from tenants.permissions import actor_of
from tenants.problems import as_problem
from traces.api import PROBLEM


class ErasureInput(serializers.Serializer[Any]):
    """A request: whose data, on which ground, and what was said."""

    subject = serializers.CharField(max_length=MOST_SUBJECT, trim_whitespace=False)
    ground = serializers.ChoiceField(choices=Ground.choices)
    reason = serializers.CharField(max_length=MOST_REASON)


def summary(row: Erasure) -> dict[str, Any]:
    """A request as programs see it: never with the name."""
    return {
        "id": str(row.pk),
        "reference": row.reference,
        "state": row.state,
        "ground": row.ground,
        "reason": row.reason,
        "requested_at": row.requested_at,
        "decided_at": row.decided_at,
        "decision_note": row.decision_note or None,
        "removed": row.removed,
        "completed_at": row.completed_at,
    }


@method_decorator(login_not_required, name="dispatch")
class ErasureList(APIView):
    """The newest requests, and one more."""

    permissions: ClassVar[dict[str, str]] = {"GET": "erasure.read", "POST": "erasure.request"}

    @extend_schema(operation_id="erasures_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            return Response({"items": [summary(row) for row in erasures(actor)]})

    @extend_schema(
        operation_id="erasures_request",
        request=ErasureInput,
        responses={201: OpenApiTypes.OBJECT, 400: PROBLEM, 404: PROBLEM, 409: PROBLEM},
    )
    def post(self, request: Request) -> Response:
        actor = actor_of(request)
        form = ErasureInput(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            with as_problem():
                row = request_erasure(by=actor, plea=Plea(**form.validated_data))
        except NotAllowed as error:
            return conflict(error)
        return Response(summary(row), status=201)


@method_decorator(login_not_required, name="dispatch")
class ErasureDetail(APIView):
    """One request and how far it is."""

    permissions: ClassVar[dict[str, str]] = {"GET": "erasure.read"}

    @extend_schema(operation_id="erasures_read", responses={200: OpenApiTypes.OBJECT, 404: PROBLEM})
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            return Response(summary(get_erasure(actor, pk)))


@method_decorator(login_not_required, name="dispatch")
class ErasureCertificate(APIView):
    """The signed certificate of a completed request."""

    permissions: ClassVar[dict[str, str]] = {"GET": "erasure.read"}

    @extend_schema(
        operation_id="erasures_certificate", responses={200: OpenApiTypes.OBJECT, 404: PROBLEM, 409: PROBLEM}
    )
    def get(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            try:
                return HttpResponse(certificate_file(get_erasure(actor, pk)), content_type="application/json")
            except NotAllowed as error:
                return conflict(error)
