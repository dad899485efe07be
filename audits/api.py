"""Cases over REST: list, open, read, and the two files that leave one."""

import uuid
from typing import ClassVar

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse, HttpResponseBase
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.access import get_case, roles_in
from audits.content import case_document
from audits.downloads import PDF, RETRY_SECONDS, ZIP, bundle_response, report_response
from audits.selectors import CaseFilter, case_page, progress_of
from audits.serializers import CaseInput, case_detail, case_summary
from audits.services import Brief, open_case
from audits.workflow import NotAllowed, State, allowed
from tenants.context import tenant_atomic
from tenants.models import User
from tenants.permissions import actor_of
from tenants.problems import as_problem
from traces.api import PROBLEM
from traces.selectors import DecisionFilter, FilterError

LIST_PARAMETERS = [
    OpenApiParameter("state", OpenApiTypes.STR, description="draft, planned, …"),
    OpenApiParameter("before", OpenApiTypes.INT, description="From the last page's `before`"),
]


@method_decorator(login_not_required, name="dispatch")
class CaseList(APIView):
    """Cases, newest first; and opening one."""

    permissions: ClassVar[dict[str, str]] = {"GET": "case.read", "POST": "case.create"}

    @extend_schema(operation_id="cases_list", parameters=LIST_PARAMETERS, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        actor = actor_of(request)
        before = request.query_params.get("before", "0")
        if not before.isdecimal():
            raise exceptions.ParseError("before is a number from an earlier page.")
        with tenant_atomic(actor.tenant_id):
            found = case_page(actor, CaseFilter.from_query(request.query_params), int(before[:9]))
            items = [case_summary(case) for case in found.cases]
        return Response({"items": items, "before": found.before or None})

    @extend_schema(
        operation_id="cases_create", request=CaseInput, responses={201: OpenApiTypes.OBJECT, 400: PROBLEM, 403: PROBLEM}
    )
    def post(self, request: Request) -> Response:
        actor = actor_of(request)
        form = CaseInput(data=request.data)
        form.is_valid(raise_exception=True)
        data = form.validated_data
        brief = Brief(data["title"], data["type"], data["objective"], data["criteria"], data["due"])
        lead = User.objects.filter(email=data["lead"].lower()).first()
        if lead is None:
            raise exceptions.ValidationError({"lead": "No member has this e-mail address."})
        try:
            with as_problem():
                case = open_case(by=actor, scope=DecisionFilter.from_query(data["filter"]), brief=brief, lead=lead)
        except FilterError as error:
            raise exceptions.ValidationError({"filter": str(error)}) from None
        with tenant_atomic(actor.tenant_id):
            return Response(case_summary(get_case(actor, case.pk)), status=201)


@method_decorator(login_not_required, name="dispatch")
class CaseDetail(APIView):
    """One case with its items and findings."""

    permissions: ClassVar[dict[str, str]] = {"GET": "case.read"}

    @extend_schema(operation_id="cases_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            case = get_case(actor, pk)
            actions = allowed(State(case.state), roles_in(case, actor))
            return Response(case_detail(case, case_document(case), progress_of(case), actions))


@method_decorator(login_not_required, name="dispatch")
class CaseReport(APIView):
    """The report: final once the case is signed, a draft before."""

    permissions: ClassVar[dict[str, str]] = {"GET": "case.read"}

    @extend_schema(
        operation_id="cases_report",
        responses={(200, PDF): OpenApiTypes.BINARY, 202: OpenApiTypes.OBJECT, 409: PROBLEM},
    )
    def get(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            case = get_case(actor, pk)
            try:
                response: HttpResponse | None = report_response(actor, case)
            except NotAllowed as error:
                return conflict(error)
        building = {"status": "building", "retry_after": RETRY_SECONDS}
        return response or Response(building, status=202, headers={"Retry-After": str(RETRY_SECONDS)})


@method_decorator(login_not_required, name="dispatch")
class CaseBundle(APIView):
    """The evidence bundle: records, proofs, checkpoint, policies, report, verifier."""

    permissions: ClassVar[dict[str, str]] = {"GET": "case.read"}

    @extend_schema(operation_id="cases_bundle", responses={(200, ZIP): OpenApiTypes.BINARY, 409: PROBLEM})
    def get(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            case = get_case(actor, pk)
            try:
                return bundle_response(actor, case)
            except NotAllowed as error:
                return conflict(error)


def conflict(error: NotAllowed) -> Response:
    """409 with what is allowed instead."""
    body = {"type": "about:blank", "title": "Not in this state", "status": 409, "detail": str(error)}
    return Response(body | {"allowed": list(error.allowed)}, status=409, content_type="application/problem+json")
