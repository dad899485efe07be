"""Transitions over REST: of a case, a finding, a request. The caller says which version it saw; 409 says what is open.

A program leads in the organisation's name: it plans, holds, asks. What needs a person (concluding, reviewing, signing,
judging an effect) is not among what it is allowed.
"""

import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.access import get_case, roles_in
from audits.api import conflict
from audits.findings import move_finding
from audits.lifecycles import FindingAction, RequestAction
from audits.models import Case
from audits.requests import move_request
from audits.serializers import TransitionInput, case_summary
from audits.transitions import carry_out
from audits.workflow import Action, NotAllowed, State, allowed
from tenants.access import get_row
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.permissions import actor_of
from traces.api import PROBLEM

IF_MATCH = OpenApiParameter("If-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description='The version, `"7"`')
ANSWERS = {200: OpenApiTypes.OBJECT, 400: PROBLEM, 404: PROBLEM, 409: PROBLEM, 428: PROBLEM}


class PreconditionRequired(exceptions.APIException):
    """A step without the version that it rests on would undo what somebody else just did."""

    status_code = 428
    default_detail = "Say which version you saw: If-Match, or the member version."
    default_code = "precondition_required"


def transition_of(request: Request) -> dict[str, Any]:
    """The step that is asked for, with the version from the body or from `If-Match`."""
    form = TransitionInput(data=request.data)
    form.is_valid(raise_exception=True)
    said: dict[str, Any] = dict(form.validated_data)
    header = request.headers.get("If-Match", "").removeprefix("W/").strip('" ')
    if header and not header.isdecimal():
        raise exceptions.ParseError("If-Match is the version as a number in quotes.")
    if said["version"] is None:
        if not header:
            raise PreconditionRequired
        said["version"] = int(header[:9])
    return said


def answer(actor: Actor, pk: uuid.UUID, act: Callable[[Case], Any]) -> Response:
    """Act on the case and tell how it stands; 409 with what is allowed instead."""
    with tenant_atomic(actor.tenant_id):
        case = get_case(actor, pk)
        try:
            told = act(case)
        except NotAllowed as error:
            return conflict(error)
        except ValidationError as error:
            raise exceptions.ValidationError({"detail": error.messages}) from None
        return Response(told, headers={"ETag": f'"{told["version"]}"'})


@method_decorator(login_not_required, name="dispatch")
class CaseTransitions(APIView):
    """A step of a case."""

    permissions: ClassVar[dict[str, str]] = {"POST": "case.create"}

    @extend_schema(operation_id="cases_move", request=TransitionInput, parameters=[IF_MATCH], responses=ANSWERS)
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        actor, said = actor_of(request), transition_of(request)

        def act(case: Case) -> dict[str, Any]:
            action, version = parse(Action, said["action"]), said["version"]
            carry_out(by=actor, case=case, action=action, reason=said["reason"], version=version)
            now = get_case(actor, pk)
            return case_summary(now) | {"allowed": list(allowed(State(now.state), roles_in(now, actor)))}

        return answer(actor, pk, act)


@method_decorator(login_not_required, name="dispatch")
class FindingTransitions(APIView):
    """A step of a finding, by its number in the case."""

    permissions: ClassVar[dict[str, str]] = {"POST": "case.create"}

    @extend_schema(operation_id="findings_move", request=TransitionInput, parameters=[IF_MATCH], responses=ANSWERS)
    def post(self, request: Request, pk: uuid.UUID, number: int) -> Response:
        actor, said = actor_of(request), transition_of(request)

        def act(case: Case) -> dict[str, Any]:
            row, action = get_row(case.findings.all(), number=number), parse(FindingAction, said["action"])
            text, version = said["reason"], said["version"]
            moved = move_finding(by=actor, finding=row, action=action, text=text, version=version)
            return {"number": moved.number, "state": moved.state, "version": moved.version}

        return answer(actor, pk, act)


@method_decorator(login_not_required, name="dispatch")
class RequestTransitions(APIView):
    """A step of a request for evidence, by its number in the case."""

    permissions: ClassVar[dict[str, str]] = {"POST": "case.create"}

    @extend_schema(operation_id="requests_move", request=TransitionInput, parameters=[IF_MATCH], responses=ANSWERS)
    def post(self, request: Request, pk: uuid.UUID, number: int) -> Response:
        actor, said = actor_of(request), transition_of(request)

        def act(case: Case) -> dict[str, Any]:
            row, action = get_row(case.requests.all(), number=number), parse(RequestAction, said["action"])
            text, version = said["reason"], said["version"]
            moved = move_request(by=actor, request=row, action=action, text=text, version=version)
            return {"number": moved.number, "state": moved.state, "version": moved.version}

        return answer(actor, pk, act)


def parse(kind: Any, text: str) -> Any:
    """The action of that name; 400 for one that is none."""
    try:
        return kind(text)
    except ValueError:
        raise exceptions.ValidationError({"action": f"One of: {', '.join(kind)}."}) from None
