"""Policies over REST: read, drafted, taken through their lifecycle, replayed. Approvals are a person's, on the page.

Every refusal is a problem document: 422 with line and column for a document that is not valid, 409 with the state and
the possible steps for what the state does not allow, 412 when an If-Match names an earlier revision.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import IO, Any, ClassVar

import orjson
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpResponseBase
from django.urls import reverse
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from policies import activations, services
from policies.backtests import cancel_backtest, start_backtest
from policies.lifecycle import BREAK_GLASS_LASTS, PERMISSION, Step
from policies.models import Mode, Policy, PolicyBacktest, PolicyReview, PolicyVersion
from policies.selectors import get_version, open_file
from policies.serializers import (
    BacktestInput,
    StepInput,
    activation_entry,
    backtest_detail,
    backtest_entry,
    policy_entry,
    possible_steps,
    version_detail,
    version_entry,
)
from policies.services import DocumentRefused, NotPossible, Stale, current_state
from tenants.access import get_row, require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.models import Tenant
from tenants.permissions import actor_of
from tenants.problems import problem

PAGE_SIZE = 100
PROBLEM = OpenApiResponse(OpenApiTypes.OBJECT, description="Problem details (RFC 9457)")
AFTER = OpenApiParameter("after", OpenApiTypes.STR, description="From the last page's `next`")
BEFORE = OpenApiParameter("before", OpenApiTypes.UUID, description="From the last page's `before`")
IF_MATCH = OpenApiParameter("If-Match", OpenApiTypes.STR, "header", description='The ETag last seen: `"<revision>"`')


@method_decorator(login_not_required, name="dispatch")
class PolicyList(APIView):
    """Every policy, with what it is doing now."""

    permissions: ClassVar[dict[str, str]] = {"GET": "policy.read"}

    @extend_schema(operation_id="policies_list", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        now = datetime.now(UTC)
        with tenant_atomic(actor_of(request).tenant_id):
            rows = Policy.objects.filter(slug__gt=_storable(request.query_params.get("after", ""))).order_by("slug")
            found = list(rows.prefetch_related("versions", "reviews", "activations")[: PAGE_SIZE + 1])
            items = [policy_entry(policy, now) for policy in found[:PAGE_SIZE]]
        return Response({"items": items, "next": items[-1]["slug"] if len(found) > PAGE_SIZE else None})


@method_decorator(login_not_required, name="dispatch")
class PolicyDetail(APIView):
    """One policy with every version and activation."""

    permissions: ClassVar[dict[str, str]] = {"GET": "policy.read"}

    @extend_schema(operation_id="policies_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, policy: str) -> Response:
        now = datetime.now(UTC)
        with tenant_atomic(actor_of(request).tenant_id):
            file = open_file(policy, now)
            body = policy_entry(file.policy, now) | {
                "versions": [version_entry(version, file.states[version.pk]) for version in file.versions],
                "activations": [activation_entry(activation) for activation in file.activations],
            }
        return Response(body)


class DocumentParser(BaseParser):
    """A policy document as it was sent, in YAML or JSON: its lines and columns are what errors name."""

    media_type = "*/*"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """`document` and `change_reason`: out of a JSON object that has the first, else the body is the document."""
        body = stream.read()
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise exceptions.ParseError("A policy document is UTF-8 text.") from None
        try:
            wrapped = orjson.loads(body)
        except orjson.JSONDecodeError:
            wrapped = None
        if not isinstance(wrapped, dict) or "document" not in wrapped:
            return {"document": text, "change_reason": ""}
        given = {name: wrapped.get(name, "") for name in ("document", "change_reason")}
        if not all(isinstance(value, str) for value in given.values()):
            raise exceptions.ParseError("`document` and `change_reason` are texts.")
        return given


@method_decorator(login_not_required, name="dispatch")
class VersionList(APIView):
    """A policy's versions, newest first; and drafting the next one."""

    permissions: ClassVar[dict[str, str]] = {"GET": "policy.read", "POST": "policy.draft"}
    parser_classes = [DocumentParser]  # noqa: RUF012  # DRF declares it without ClassVar

    @extend_schema(operation_id="policy_versions_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, policy: str) -> Response:
        with tenant_atomic(actor_of(request).tenant_id):
            file = open_file(policy, datetime.now(UTC))
            return Response({"items": [version_entry(version, file.states[version.pk]) for version in file.versions]})

    @extend_schema(
        operation_id="policy_versions_create",
        request={"application/yaml": OpenApiTypes.STR, "application/json": OpenApiTypes.OBJECT},
        responses={201: OpenApiTypes.OBJECT, 409: PROBLEM, 422: PROBLEM},
    )
    def post(self, request: Request, policy: str) -> HttpResponseBase:
        """Keep a document as the next version, in place of one that was still in the making.

        The body is the document in YAML or JSON, or `{"document": "<its text>", "change_reason": "…"}`. A policy of
        that name is made if there is none.
        """
        actor = actor_of(request)
        try:
            version = services.draft_version(
                by=actor,
                source=request.data.get("document", ""),
                change_reason=request.data.get("change_reason", ""),
                policy_name=policy,
            )
        except ValidationError as error:
            return refused(error)
        return versioned(actor, version, status=201)


@method_decorator(login_not_required, name="dispatch")
class VersionDetail(APIView):
    """One version: its text, how far its review is, and the steps the caller can take. The ETag is its revision."""

    permissions: ClassVar[dict[str, str]] = {"GET": "policy.read"}

    @extend_schema(operation_id="policy_versions_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, policy: str, number: int) -> HttpResponseBase:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            version = get_version(policy, number)
        return versioned(actor, version)


StepTaker = Callable[[Actor, PolicyVersion, dict[str, Any]], object]
STEPS: Mapping[str, StepTaker] = {
    "submit": lambda by, v, given: services.submit_version(by=by, version=v, revision=given.get("revision")),
    "withdraw": lambda by, v, given: services.withdraw_version(by=by, version=v, **_pick(given, "reason")),
    "activate": lambda by, v, given: activations.activate_version(by=by, version=v, **_pick(given, "starts")),
    "shadow": lambda by, v, given: activations.activate_version(
        by=by, version=v, mode=Mode.SHADOW, **_pick(given, "starts")
    ),
    "end-shadow": lambda by, v, given: activations.retire_policy(by=by, policy=v.policy, mode=Mode.SHADOW),
    "cancel": lambda by, v, given: activations.cancel_activation(by=by, version=v, **_pick(given)),
    "suspend": lambda by, v, given: activations.suspend_version(by=by, version=v, **_pick(given, "reason")),
    "resume": lambda by, v, given: activations.resume_version(by=by, version=v, **_pick(given, "reason")),
    "retire": lambda by, v, given: activations.retire_version(by=by, version=v, **_pick(given, "reason")),
    "break-glass": lambda by, v, given: activations.break_glass(
        by=by,
        version=v,
        lasts=timedelta(hours=given["lasts_hours"]) if "lasts_hours" in given else BREAK_GLASS_LASTS,
        **_pick(given, "reason"),
    ),
}
_ACTIVATING = {"shadow": Step.ACTIVATE, "end-shadow": Step.ACTIVATE}
A_PERSONS = frozenset({Step.APPROVE, Step.REJECT})


def _pick(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in ("revision", *names) if name in given}


@method_decorator(login_not_required, name="dispatch")
class VersionStep(APIView):
    """A step of the lifecycle: submit, withdraw, activate, shadow, end-shadow, cancel, suspend, resume, retire,
    break-glass. `approve` and `reject` are refused: they are a person's, on the page that the answer names."""

    permissions: ClassVar[dict[str, str]] = {"POST": "policy.read"}  # each step asks for its own

    @extend_schema(
        operation_id="policy_versions_step",
        parameters=[IF_MATCH],
        request=StepInput,
        responses={200: OpenApiTypes.OBJECT, 403: PROBLEM, 409: PROBLEM, 412: PROBLEM},
    )
    def post(self, request: Request, policy: str, number: int, step: str) -> HttpResponseBase:
        actor = actor_of(request)
        form = StepInput(data=request.data)
        form.is_valid(raise_exception=True)
        with tenant_atomic(actor.tenant_id):
            version = get_version(policy, number)
        if step in A_PERSONS:
            return a_persons(actor, version)
        if step not in STEPS:
            raise Http404("No such step.")
        wanted = expected_revision(request)
        try:
            require(actor, PERMISSION[_ACTIVATING.get(step) or Step(step.replace("-", "_"))])
            STEPS[step](actor, version, form.validated_data | wanted)
        except PermissionDenied as error:
            return not_for_keys(step, error)
        except ValidationError as error:
            return refused(error, actor, version, has_precondition=bool(wanted))
        return versioned(actor, version)


def expected_revision(request: Request) -> dict[str, int]:
    """The revision out of an If-Match header, if there is one."""
    tag = request.headers.get("If-Match", "").strip().removeprefix("W/").strip('"')
    if not tag or tag == "*":
        return {}
    return {"revision": int(tag) if tag.isascii() and tag.isdigit() and len(tag) < 10 else -1}


def versioned(actor: Actor, version: PolicyVersion, status: int = 200) -> Response:
    """The version as it is now, with its revision as ETag."""
    with tenant_atomic(actor.tenant_id):
        file = open_file(version.policy.slug, datetime.now(UTC))
        row = file.version(version.number)
        review = file.review(row)
        body = version_detail(row, review, file.states[row.pk], actor)
    headers = {"ETag": f'"{review.revision}"'}
    if status == 201:
        headers["Location"] = reverse("api-policy-version", args=[version.policy.slug, version.number])
    return Response(body, status=status, headers=headers)


def refused(
    error: ValidationError,
    actor: Actor | None = None,
    version: PolicyVersion | None = None,
    *,
    has_precondition: bool = False,
) -> HttpResponseBase:
    """What the services refuse, as a problem document."""
    if isinstance(error, DocumentRefused):
        errors = [{"line": p.line, "column": p.column, "detail": p.message} for p in error.problems]
        return problem(422, "The document is not valid; nothing was stored", errors=errors)
    detail = " ".join(error.messages)
    if not isinstance(error, NotPossible):
        return problem(422, "The request is not valid", detail)
    now = state_document(actor, version) if actor and version else {}
    if has_precondition and isinstance(error, Stale):
        return problem(412, "Changed since you looked", detail, **now)
    return problem(409, "Not possible now", detail, **now)


def state_document(actor: Actor, version: PolicyVersion) -> dict[str, Any]:
    """Where the version is, and what the caller can do instead."""
    with tenant_atomic(actor.tenant_id):
        review = PolicyReview.objects.get(version=version)
        state = current_state(review)
    return {"state": state, "revision": review.revision, "steps": possible_steps(state, actor)}


def a_persons(actor: Actor, version: PolicyVersion) -> HttpResponseBase:
    """403 that says where a person decides."""
    with tenant_atomic(actor.tenant_id):
        slug = Tenant.objects.values_list("slug", flat=True).get(pk=actor.tenant_id)
    detail = (
        "An approval is a person's: it needs their password and the exact statement that they were shown. "
        "A key can give neither; an approver decides on the page."
    )
    page = reverse("policy-review", args=[slug, version.policy.slug, version.number])
    return problem(403, "A key cannot approve", detail, page=page)


def not_for_keys(step: str, error: PermissionDenied) -> HttpResponseBase:
    """403 for a step that this key's scopes, or no key's, allow."""
    detail = str(error)
    if step == "break-glass":
        detail = "Breaking the glass is a person's: an owner, administrator or approver does it on the policy's page."
    return problem(403, "Forbidden", detail)


@method_decorator(login_not_required, name="dispatch")
class BacktestList(APIView):
    """Backtests, newest first; and asking for one."""

    permissions: ClassVar[dict[str, str]] = {"GET": "policy.read", "POST": "policy.backtest"}

    @extend_schema(
        operation_id="backtests_list",
        parameters=[OpenApiParameter("policy", OpenApiTypes.STR, description="Of this policy alone"), BEFORE],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        wanted = request.query_params
        with tenant_atomic(actor_of(request).tenant_id):
            rows = PolicyBacktest.objects.select_related("version__policy").defer("result").order_by("-id")
            rows = rows.filter(version__policy__slug=_storable(wanted["policy"])) if wanted.get("policy") else rows
            rows = rows.filter(pk__lt=_uuid(wanted["before"])) if "before" in wanted else rows
            items = [backtest_entry(row) for row in rows[: PAGE_SIZE + 1]]
        return Response({"items": items[:PAGE_SIZE], "before": items[-2]["id"] if len(items) > PAGE_SIZE else None})

    @extend_schema(
        operation_id="backtests_create", request=BacktestInput, responses={201: OpenApiTypes.OBJECT, 422: PROBLEM}
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Queue a replay of a version over stored decisions; its address says how far it is."""
        actor = actor_of(request)
        form = BacktestInput(data=request.data)
        form.is_valid(raise_exception=True)
        given = dict(form.validated_data)
        with tenant_atomic(actor.tenant_id):
            version = get_version(given.pop("policy"), given.pop("version"))
        try:
            backtest = start_backtest(by=actor, version=version, **given)
        except ValidationError as error:
            return refused(error)
        where = reverse("api-backtest", args=[backtest.pk])
        return Response(backtest_entry(backtest), status=201, headers={"Location": where})


@method_decorator(login_not_required, name="dispatch")
class BacktestDetail(APIView):
    """A backtest with what it found; and stopping it."""

    permissions: ClassVar[dict[str, str]] = {"GET": "policy.read", "DELETE": "policy.backtest"}

    @extend_schema(operation_id="backtests_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, backtest: uuid.UUID) -> Response:
        with tenant_atomic(actor_of(request).tenant_id):
            return Response(backtest_detail(_backtest(backtest)))

    @extend_schema(operation_id="backtests_cancel", responses={200: OpenApiTypes.OBJECT, 409: PROBLEM})
    def delete(self, request: Request, backtest: uuid.UUID) -> HttpResponseBase:
        """Cancel it. Its row and what it found so far stay: what was asked is part of the record."""
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            row = _backtest(backtest)
        try:
            cancel_backtest(by=actor, backtest=row)
        except ValidationError as error:
            return refused(error)
        with tenant_atomic(actor.tenant_id):
            return Response(backtest_entry(_backtest(backtest)))


def _backtest(pk: uuid.UUID) -> PolicyBacktest:
    return get_row(PolicyBacktest.objects.select_related("version__policy"), pk=pk)


def _storable(text: str) -> str:
    """What PostgreSQL can be asked for: it holds no NUL, and refuses to look for one."""
    if "\0" in text:
        raise exceptions.ParseError("A name holds no NUL character.")
    return text


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise exceptions.ParseError("`before` is an id from an earlier page.") from None
