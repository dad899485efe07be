"""Reading policies over REST."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from policies import presentation
from policies.models import Policy
from tenants.access import get_row
from tenants.context import tenant_atomic


@method_decorator(login_not_required, name="dispatch")
class PolicyList(APIView):
    """Every policy, with what it is doing now."""

    permissions: ClassVar[dict[str, str]] = {"GET": "policy.read"}

    @extend_schema(operation_id="policies_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        with tenant_atomic(request.auth.tenant_id):
            found = Policy.objects.prefetch_related("versions", "activations").order_by("slug")
            return Response({"items": [presentation.list_row(policy, datetime.now(UTC)) for policy in found]})


@method_decorator(login_not_required, name="dispatch")
class PolicyDetail(APIView):
    """One policy with every version and activation."""

    permissions: ClassVar[dict[str, str]] = {"GET": "policy.read"}

    @extend_schema(operation_id="policies_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, policy: str) -> Response:
        now = datetime.now(UTC)
        with tenant_atomic(request.auth.tenant_id):
            row = get_row(Policy.objects.all(), slug=policy)
            activations = list(row.activations.select_related("version", "activated_by").order_by("-effective"))
            versions: list[dict[str, Any]] = [
                presentation.version_entry(version, activations, now) | {"source": version.source}
                for version in row.versions.select_related("author").order_by("-number")
            ]
            held = [presentation.activation_entry(activation) for activation in activations]
        return Response({"slug": row.slug, "title": row.title, "versions": versions, "activations": held})
