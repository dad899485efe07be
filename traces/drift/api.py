"""Alerts over REST."""

import uuid
from typing import ClassVar

from django.contrib.auth.decorators import login_not_required
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.context import tenant_atomic
from tenants.permissions import actor_of
from traces.drift.selectors import PAGE_SIZE, as_json, get_alert, list_alerts
from traces.recording import rfc3339
from traces.selectors import FilterError, parse_moment

BEFORE = OpenApiParameter("before", OpenApiTypes.STR, description="Go on from a page's `before`")


@method_decorator(login_not_required, name="dispatch")
class DriftList(APIView):
    """What was noticed, the newest first."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read"}

    @extend_schema(operation_id="drift_list", parameters=[BEFORE], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        text = request.query_params.get("before", "")
        try:
            before = parse_moment("before", text) if text else None
        except FilterError as error:
            raise ParseError(str(error)) from None
        with tenant_atomic(actor_of(request).tenant_id):
            found = list_alerts(before=before)
        more = rfc3339(found[-1].alert.noticed_at) if len(found) == PAGE_SIZE else None
        return Response({"items": [as_json(one) for one in found], "before": more})


@method_decorator(login_not_required, name="dispatch")
class DriftDetail(APIView):
    """One alert with its evidence: when, why, and what speaks against the other causes."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read"}

    @extend_schema(operation_id="drift_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            return Response(as_json(get_alert(actor, pk), with_evidence=True))
