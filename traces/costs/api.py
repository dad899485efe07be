"""Usage, budgets and prices over REST."""

import csv
import io
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.api import AsItIs
from tenants.context import tenant_atomic
from tenants.permissions import actor_of
from tenants.problems import as_problem
from traces.costs import budgeting
from traces.costs.book import Call, price_book
from traces.costs.budgeting import BudgetTerms
from traces.costs.budgets import Standing, per_cent
from traces.costs.rollups import MEASURES
from traces.costs.services import record_price, restate_costs
from traces.costs.spending import DIMENSIONS, Line, UsageQuery, read_query, usage_page
from traces.costs.usage import UsageNotRead, usage_from_response
from traces.models.cost import Budget, ListPrice, ModelPrice
from traces.recording import rfc3339
from traces.selectors import FilterError, parse_moment

PROBLEM = OpenApiResponse(OpenApiTypes.OBJECT, description="Problem details (RFC 9457)")
SIZE, LARGEST_SIZE, CSV_ROWS = 500, 1_000, 200_000
PARAMETERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description=text)
    for name, text in {
        "since": "From this time on; default: 30 days before `until`",
        "until": "Before this time; default: the end of today",
        "grain": "minute (the last two days), hour or day",
        "group": f"One of {', '.join(DIMENSIONS)}; any of them also narrows, by its name",
        "cursor": "From the last page's `cursor`",
        "limit": f"Rows a page, at most {LARGEST_SIZE:,}",
        "format": "csv: every row as a file",
    }.items()
]


@method_decorator(login_not_required, name="dispatch")
class UsageView(APIView):
    """Decisions, tokens and cost by time and one dimension. A currency is never added to another."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read"}
    content_negotiation_class = AsItIs  # `format` is ours here

    @extend_schema(operation_id="usage_list", parameters=PARAMETERS, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> HttpResponseBase:
        query = request.query_params
        try:
            with tenant_atomic(actor_of(request).tenant_id):
                wanted = read_query(query, datetime.now(UTC))
                if query.get("format") == "csv":
                    return csv_response(wanted)
                size = min(int(query.get("limit", SIZE)), LARGEST_SIZE)
                found = usage_page(wanted, query.get("cursor", ""), max(size, 1))
        except (FilterError, ValueError) as error:
            raise exceptions.ParseError(str(error)) from None
        items = [line_document(line, wanted.group) for line in found.lines]
        return Response({"grain": wanted.grain, "group": wanted.group, "items": items, "cursor": found.cursor or None})


def line_document(line: Line, group: str) -> dict[str, Any]:
    """One line as JSON; `cost_micros` is as it is today, `restated_micros` what of it came later."""
    measures = {name: line.measures[name] for name in MEASURES}
    return {"at": rfc3339(line.bucket), group: line.value, "currency": line.currency or None} | measures


def csv_response(wanted: UsageQuery) -> HttpResponse:
    """Every line as RFC 4180 CSV, inside the caller's `tenant_atomic`. Raises `FilterError` for far too many."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["at", wanted.group, "currency", *MEASURES])
    for line in all_lines(wanted):
        value = f"'{line.value}" if line.value[:1] in "=+-@\t\r" and line.value else line.value  # no formulas
        writer.writerow([rfc3339(line.bucket), value, line.currency, *(line.measures[name] for name in MEASURES)])
    response = HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
    name = f"usage-{wanted.group}-{wanted.since:%Y%m%d}-{wanted.until:%Y%m%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def all_lines(wanted: UsageQuery) -> Iterator[Line]:
    """Every line of a query, page after page."""
    cursor, told = "", 0
    while True:
        found = usage_page(wanted, cursor, LARGEST_SIZE * 10)
        told += len(found.lines)
        if told > CSV_ROWS:
            raise FilterError(f"More than {CSV_ROWS:,} rows; ask for a shorter time or a coarser grain.")
        yield from found.lines
        cursor = found.cursor
        if not cursor:
            return


# --- Budgets --------------------------------------------------------------------------------------------------------


@method_decorator(login_not_required, name="dispatch")
class BudgetList(APIView):
    """Budgets with how they stand; and setting one."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read", "POST": "budget.manage"}

    @extend_schema(operation_id="budgets_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        with tenant_atomic(actor_of(request).tenant_id):
            budgets = budgeting.live_budgets()
            found = budgeting.standings(budgets, datetime.now(UTC)) if budgets else {}
        return Response({"items": [budget_document(budget, found[budget.pk]) for budget in budgets]})

    @extend_schema(
        operation_id="budgets_create", request=OpenApiTypes.OBJECT, responses={201: OpenApiTypes.OBJECT, 400: PROBLEM}
    )
    def post(self, request: Request) -> Response:
        actor = actor_of(request)
        with as_problem():
            budget = budgeting.create_budget(by=actor, terms=read_terms(request.data))
        return _answer(request, budget, 201)


@method_decorator(login_not_required, name="dispatch")
class BudgetDetail(APIView):
    """One budget: read, replaced or retired."""

    permissions: ClassVar[dict[str, str]] = {
        "GET": "decision.read",
        "PUT": "budget.manage",
        "DELETE": "budget.manage",
    }

    @extend_schema(operation_id="budgets_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            budget = budgeting.get_budget(actor, pk)
        return _answer(request, budget, 200)

    @extend_schema(operation_id="budgets_update", request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request, pk: uuid.UUID) -> Response:
        with as_problem():
            budget = budgeting.change_budget(by=actor_of(request), pk=pk, terms=read_terms(request.data))
        return _answer(request, budget, 200)

    @extend_schema(operation_id="budgets_retire", responses={204: None})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        budgeting.retire_budget(by=actor_of(request), pk=pk)
        return Response(status=204)


def _answer(request: Request, budget: Budget, status: int) -> Response:
    with tenant_atomic(actor_of(request).tenant_id):
        found = budgeting.standings([budget], datetime.now(UTC))[budget.pk]
    return Response(budget_document(budget, found), status=status)


def budget_document(budget: Budget, found: Standing) -> dict[str, Any]:
    """A budget as JSON, with how it stands."""
    names = ("name", "scope", "subject", "period", "days", "limit_micros", "currency", "on_exceed", "route_to")
    return {
        "id": str(budget.pk),
        **{name: getattr(budget, name) for name in names},
        "thresholds": list(budget.thresholds),
        "since": rfc3339(found.window.start),
        "until": rfc3339(found.window.end),
        "spent_micros": found.spent,
        "spent_per_cent": per_cent(found.spent, found.limit),
        "forecast_micros": found.forecast,
    }


def read_terms(data: Any) -> BudgetTerms:
    """Terms from a JSON body; raises `ValidationError` naming the member."""
    if not isinstance(data, dict):
        raise ValidationError({"body": "A budget is a JSON object."})
    kinds: dict[str, type] = dict.fromkeys(BudgetTerms.__slots__, str)
    kinds |= {"limit_micros": int, "days": int, "thresholds": list}
    values: dict[str, Any] = {}
    for name, value in data.items():
        kind = kinds.get(name)
        if kind is None or not isinstance(value, kind) or isinstance(value, bool):
            raise ValidationError({name: f"Expected: {kind.__name__}." if kind else "No such member of a budget."})
        values[name] = tuple(value) if isinstance(value, list) else value
    for name in ("name", "limit_micros"):
        if name not in values:
            raise ValidationError({name: "Required."})
    if not all(isinstance(one, int) for one in values.get("thresholds", ())):
        raise ValidationError({"thresholds": "Whole numbers, in per cent."})
    return BudgetTerms(**values)


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent; raises `exceptions.ParseError` for anything else."""
    data: Any = request.data
    if not isinstance(data, dict):
        raise exceptions.ParseError("Send a JSON object.")
    return data


# --- Prices ---------------------------------------------------------------------------------------------------------


@method_decorator(login_not_required, name="dispatch")
class PriceList(APIView):
    """The tenant's own prices, newest first; and recording one. Published prices need no recording."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read", "POST": "price.manage"}

    @extend_schema(
        operation_id="prices_list",
        parameters=[OpenApiParameter("before", OpenApiTypes.INT, description="From the last page's `before`")],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        before = request.query_params.get("before", "")
        if before and not before.isdecimal():
            raise exceptions.ParseError("before is a number from an earlier page.")
        with tenant_atomic(actor_of(request).tenant_id):
            rows = ModelPrice.objects.filter(**({"edition__lt": int(before[:18])} if before else {}))
            found = list(rows.order_by("-edition")[: SIZE + 1])
        shown = found[:SIZE]
        more = shown[-1].edition if len(found) > SIZE else None
        return Response({"items": [price_document(row) for row in shown], "before": more})

    @extend_schema(
        operation_id="prices_create", request=OpenApiTypes.OBJECT, responses={201: OpenApiTypes.OBJECT, 400: PROBLEM}
    )
    def post(self, request: Request) -> Response:
        with as_problem():
            row = record_price(by=actor_of(request), document=body_of(request))
        return Response(price_document(row), status=201)


def price_document(row: ModelPrice | ListPrice) -> dict[str, Any]:
    """A price as it was recorded, with its hash and its place."""
    return {
        "id": str(row.pk),
        "edition": row.edition,
        "sha256": f"sha256:{bytes(row.sha256).hex()}",
        "recorded_at": rfc3339(row.recorded_at),
        "price": orjson.loads(bytes(row.document)),
    }


@method_decorator(login_not_required, name="dispatch")
class PriceDetail(APIView):
    """The price behind a hash on a record, the tenant's own or a published one."""

    permissions: ClassVar[dict[str, str]] = {"GET": "decision.read"}

    @extend_schema(operation_id="prices_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, sha256: str) -> Response:
        digest = bytes.fromhex(sha256)
        with tenant_atomic(actor_of(request).tenant_id):
            row = ModelPrice.objects.filter(sha256=digest).first() or ListPrice.objects.filter(sha256=digest).first()
        if row is None:
            raise exceptions.NotFound
        return Response(price_document(row))


@method_decorator(login_not_required, name="dispatch")
class PriceQuote(APIView):
    """What a provider's response costs at a time: `provider`, `model`, `usage` as the provider sent it, `at`?"""

    permissions: ClassVar[dict[str, str]] = {"POST": "decision.read"}

    @extend_schema(operation_id="prices_quote", request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        data = body_of(request)
        try:
            usage = usage_from_response({"usage": data.get("usage") or {}})
            at = datetime.fromisoformat(data["at"]) if data.get("at") else datetime.now(UTC)
        except (UsageNotRead, ValueError, TypeError) as error:
            raise exceptions.ParseError(str(error)) from None
        if at.tzinfo is None:
            raise exceptions.ParseError("at: a time with its zone, such as 2026-01-01T00:00:00Z.")
        provider, model, version, variant = (
            str(data.get(name) or "") for name in ("provider", "model", "version", "variant")
        )
        call = Call(provider, model, version, usage, variant)
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            cost = price_book(actor.tenant_id).cost_of(call, at)
        if cost is None:
            return Response({"priced": False})
        told = {"cost_micros": cost.micros, "saved_micros": cost.saved_micros, "currency": cost.currency}
        return Response({"priced": True, **told, "price_sha256": f"sha256:{cost.price_sha256.hex()}"})


@method_decorator(login_not_required, name="dispatch")
class RestatementList(APIView):
    """Apply today's prices to the decisions of a time: `since`, `until`, `reason`. The numbers of before are kept."""

    permissions: ClassVar[dict[str, str]] = {"POST": "price.manage"}

    @extend_schema(
        operation_id="restatements_create", request=OpenApiTypes.OBJECT, responses={202: OpenApiTypes.OBJECT}
    )
    def post(self, request: Request) -> Response:
        data = body_of(request)
        try:
            since, until = (parse_moment(name, str(data.get(name) or "")) for name in ("since", "until"))
        except FilterError as error:
            raise exceptions.ParseError(str(error)) from None
        with as_problem():
            found = restate_costs(by=actor_of(request), since=since, until=until, reason=str(data.get("reason") or ""))
        return Response({"id": str(found.pk), "requested_at": rfc3339(found.requested_at)}, status=202)
