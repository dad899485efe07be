"""Holds over REST: a matter's system places them and sees how they stand; releasing is a person's."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.holds import MOST_REASON, HoldText, get_hold, holds, place_hold
from audits.models import Hold, HoldScope
from tenants.context import tenant_atomic
from tenants.permissions import actor_of
from traces.api import PROBLEM


class HoldInput(serializers.Serializer[Any]):
    """A hold: what is held, why, and when somebody looks at it again."""

    scope = serializers.ChoiceField(choices=HoldScope.choices)
    about = serializers.CharField(max_length=2_000, trim_whitespace=False)
    reason = serializers.CharField(max_length=MOST_REASON)
    review_on = serializers.DateField(default=None)


def summary(row: Hold) -> dict[str, Any]:
    """A hold as programs see it: never with a name."""
    return {
        "id": str(row.pk),
        "reference": row.reference,
        "scope": row.scope,
        "decision": str(row.decision_id) if row.decision_id else None,
        "case": str(row.case_id) if row.case_id else None,
        "reason": row.reason,
        "review_on": row.review_on,
        "placed_at": row.placed_at,
        "released_at": row.released_at,
        "release_reason": row.release_reason or None,
    }


@method_decorator(login_not_required, name="dispatch")
class HoldList(APIView):
    """Live holds, then released ones; and one more."""

    permissions: ClassVar[dict[str, str]] = {"GET": "hold.read", "POST": "hold.place"}

    @extend_schema(operation_id="holds_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            return Response({"items": [summary(row) for row in holds(actor)]})

    @extend_schema(
        operation_id="holds_place",
        request=HoldInput,
        responses={201: OpenApiTypes.OBJECT, 400: PROBLEM, 404: PROBLEM},
    )
    def post(self, request: Request) -> Response:
        actor = actor_of(request)
        form = HoldInput(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            row = place_hold(by=actor, text=HoldText(**form.validated_data))
        except ValidationError as error:
            told = error.message_dict if hasattr(error, "error_dict") else {"detail": error.messages}
            raise exceptions.ValidationError(told) from None
        return Response(summary(row), status=201)


@method_decorator(login_not_required, name="dispatch")
class HoldDetail(APIView):
    """One hold and how it stands."""

    permissions: ClassVar[dict[str, str]] = {"GET": "hold.read"}

    @extend_schema(operation_id="holds_read", responses={200: OpenApiTypes.OBJECT, 404: PROBLEM})
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            return Response(summary(get_hold(actor, pk)))
