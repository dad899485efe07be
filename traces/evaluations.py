"""`POST /api/v1/evaluations`: the edge of asking before acting. The same refusals in the same order as for decisions.

A plain view, not DRF: somebody waits for this answer before anything is done.
"""

from typing import Any, ClassVar

import orjson
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.access import require
from tenants.authentication import authenticate
from traces.api import PROBLEM
from traces.evaluating import answer_question
from traces.ingest import prepare_receipts, unpacked_body, with_receipts, with_refusals
from traces.services import USING
from traces.submissions import read_question
from traces.tracecontext import parse_traceparent


@with_refusals
def post_evaluation(request: HttpRequest) -> HttpResponse:
    """Ask what the policies in force say of a decision before it is made; the answer is recorded.

    The body is a decision as it would be submitted, as far as it is known: only `system` must be there. 201 with
    `verdict`, `action`, `denied`, what each rule found, the hash of the policy set (to be sent as `policy_claim` with
    the decision), what rules in shadow mode would have done, what the budgets say (`budget`: allow, block or route, by
    what has been counted so far; a budget that blocks makes it `denied`), and a signed receipt. The question itself is
    not kept: keep `question_salt` with it to be able to prove what was asked. A question without `trace_id` belongs to
    the trace of the request's `traceparent` (W3C Trace Context).
    """
    actor = authenticate(request.headers, using=USING)
    require(actor, "evaluation.ask")
    prepare_receipts(actor)
    item, caller = read_question(unpacked_body(request)), parse_traceparent(request.headers.get("traceparent", ""))
    (told,) = with_receipts(actor, [answer_question(by=actor, item=item, caller=caller)])
    return HttpResponse(orjson.dumps(told), status=201, content_type="application/json")


@method_decorator(login_not_required, name="dispatch")
class EvaluationList(APIView):
    """Asking before acting."""

    permissions: ClassVar[dict[str, str]] = {"POST": "evaluation.ask"}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Asking goes past DRF."""
        return post_evaluation(request) if request.method == "POST" else super().dispatch(request, *args, **kwargs)

    @extend_schema(
        operation_id="evaluations_create",
        description=post_evaluation.__doc__,
        request=OpenApiTypes.OBJECT,
        responses={201: OpenApiTypes.OBJECT, 403: PROBLEM, 413: PROBLEM, 422: PROBLEM, 429: PROBLEM, 503: PROBLEM},
        examples=[
            OpenApiExample(
                "The least", value={"system": "loan-assistant", "input": "May I borrow 5,000?"}, request_only=True
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Documented here, answered in `dispatch`."""
        raise MethodNotAllowed("POST")
