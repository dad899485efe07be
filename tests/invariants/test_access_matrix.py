"""I1 and I7: every route × method × role, and another tenant's object is exactly as absent as one that never was.

The routes come from the URLconf, what each needs from `NEEDS`: a new route fails until its line is there. What a role
holds comes from `tenants.roles`, what a key holds from its scopes.
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tenants.authentication import SCOPE_PERMISSIONS
from tenants.context import tenant_atomic
from tenants.models import ApiKey, Membership, Scope, WebhookDelivery, WebhookEndpoint
from tenants.roles import PERMISSIONS, Role
from tests.factories.tenants import UserFactory
from tests.invariants.test_registry import OURS
from tests.invariants.worlds import World
from traces.models import ApmLink, Decision, DriftAlert, SavedView, ThumbKey

# Route → method → the permission that opens it; several: any of them. A method that is not named is not allowed.
# `case` opens to whoever reads cases and to the guests of this one; what they may do there, the workflow says.
READ, WRITE = "GET", "POST"
NEEDS: Mapping[str, Mapping[str, str]] = {
    "tenant-home": {READ: "anybody"},
    "go": {READ: "anybody"},
    "ledger-health": {READ: "ledger.read"},
    "ledger-verify": {WRITE: "ledger.read"},
    "member-list": {READ: "ledger.read", WRITE: "member.manage"},
    "member-edit": {READ: "member.manage", WRITE: "member.manage"},
    "member-invite": {WRITE: "member.manage"},
    "member-remove": {WRITE: "member.manage"},
    "api-key-list": {READ: "key.manage", WRITE: "key.manage"},
    "api-key-rotate": {WRITE: "key.manage"},
    "api-key-revoke": {WRITE: "key.manage"},
    "notification-list": {READ: "anybody"},
    "notification-read": {WRITE: "anybody"},
    "webhook-list": {READ: "webhook.manage", WRITE: "webhook.manage"},
    "webhook-detail": {READ: "webhook.manage", WRITE: "webhook.manage"},
    "webhook-ping": {WRITE: "webhook.manage"},
    "webhook-rotate": {WRITE: "webhook.manage"},
    "webhook-enable": {WRITE: "webhook.manage"},
    "webhook-disable": {WRITE: "webhook.manage"},
    "webhook-remove": {WRITE: "webhook.manage"},
    "webhook-resend": {WRITE: "webhook.manage"},
    "api-webhooks": {READ: "webhook.manage", WRITE: "webhook.manage"},
    "api-webhook": {READ: "webhook.manage", "PUT": "webhook.manage", "DELETE": "webhook.manage"},
    "api-webhook-deliveries": {READ: "webhook.manage"},
    "api-webhook-step": {WRITE: "webhook.manage"},
    "api-delivery-resend": {WRITE: "webhook.manage"},
    "decision-list": {READ: "decision.read"},
    "decision-detail": {READ: "decision.read"},
    "first-record": {READ: "decision.read"},
    "decision-verify": {WRITE: "decision.read"},
    "decision-proof": {READ: "decision.read"},
    "decision-export": {READ: "decision.export"},
    "view-save": {WRITE: "decision.read"},
    "view-remove": {WRITE: "view"},  # its owner alone
    "trace": {READ: "decision.read"},
    "trace-rows": {READ: "decision.read"},
    "trace-span": {READ: "decision.read"},
    "session": {READ: "decision.read"},
    "app-user": {READ: "decision.read"},
    "timeline": {READ: "decision.read"},
    "thumb-key-list": {READ: "key.manage", WRITE: "key.manage"},
    "thumb-key-revoke": {WRITE: "key.manage"},
    "api-thumbs": {},  # a key of its own, in the address
    "apm-link-list": {READ: "source.manage", WRITE: "source.manage"},
    "apm-link-remove": {WRITE: "source.manage"},
    "api-events": {READ: "decision.read", WRITE: "event.write"},
    "drift-list": {READ: "decision.read"},
    "drift-detail": {READ: "decision.read"},
    "drift-acknowledge": {WRITE: "drift.manage"},
    "drift-mute": {WRITE: "drift.manage"},
    "drift-expect": {WRITE: "drift.manage"},
    "api-drift": {READ: "decision.read"},
    "api-drift-alert": {READ: "decision.read"},
    "policy-list": {READ: "policy.read"},
    "policy-new": {READ: "policy.draft", WRITE: "policy.draft"},
    "policy-check": {WRITE: "policy.draft"},
    "policy-in-force": {READ: "policy.read"},
    "policy-controls": {READ: "policy.read"},
    "policy-detail": {READ: "policy.read"},
    "policy-diff": {READ: "policy.read"},
    "policy-review": {READ: "policy.approve", WRITE: "policy.approve"},
    "policy-step": {WRITE: "policy.submit"},
    "backtest-new": {READ: "policy.backtest", WRITE: "policy.backtest"},
    "backtest-detail": {READ: "policy.read"},
    "backtest-cancel": {WRITE: "policy.backtest"},
    "alert-rule": {READ: "case.create", WRITE: "case.create"},
    "case-from-alert": {READ: "case.create", WRITE: "case.create"},
    "case-list": {READ: "anybody"},
    "case-create": {READ: "case.create", WRITE: "case.create"},
    "case-detail": {READ: "case"},
    "case-plan": {READ: "case", WRITE: "case"},
    "case-sample": {READ: "case", WRITE: "case"},
    "case-move": {WRITE: "case"},
    "case-sign": {READ: "case", WRITE: "case"},
    "case-item": {WRITE: "case"},
    "case-finding": {READ: "case", WRITE: "case"},
    "case-findings": {READ: "case"},
    "case-finding-step": {WRITE: "case"},
    "case-evidence": {READ: "case"},
    "case-request": {WRITE: "case"},
    "case-request-step": {WRITE: "case"},
    "case-file-add": {WRITE: "case"},
    "case-file": {READ: "case"},
    "case-letters": {READ: "case", WRITE: "decision.read_payload"},
    "case-letter": {READ: "decision.read_payload", WRITE: "decision.read_payload"},
    "case-letter-step": {WRITE: "decision.read_payload"},
    "case-letter-pdf": {READ: "decision.read_payload"},
    "case-review": {READ: "case"},
    "case-note": {WRITE: "case"},
    "case-note-step": {WRITE: "case"},
    "case-procedures": {READ: "case"},
    "case-procedure": {WRITE: "case"},
    "case-test": {WRITE: "case"},
    "case-timeline": {READ: "case"},
    "case-comment": {WRITE: "case"},
    "case-access": {READ: "activity.read"},
    "case-grant": {WRITE: "activity.read"},
    "case-revoke": {WRITE: "activity.read"},
    "case-clock": {WRITE: "case"},
    "case-revision": {READ: "case"},
    "case-revision-report": {READ: "case"},
    "case-revision-bundle": {READ: "case"},
    "decision-reads": {READ: "activity.read"},
    "erasure-list": {READ: "erasure.read", WRITE: "erasure.request"},
    "erasure-detail": {READ: "erasure.read"},
    "erasure-approve": {WRITE: "erasure.approve"},
    "erasure-reject": {WRITE: "erasure.approve"},
    "erasure-certificate": {READ: "erasure.read"},
    "api-erasures": {READ: "erasure.read", WRITE: "erasure.request"},
    "api-erasure": {READ: "erasure.read"},
    "api-erasure-certificate": {READ: "erasure.read"},
    "retention": {READ: "retention.read", WRITE: "retention.manage"},
    "hold-list": {READ: "hold.read", WRITE: "hold.place"},
    "hold-release": {WRITE: "hold.release"},
    "api-holds": {READ: "hold.read", WRITE: "hold.place"},
    "api-hold": {READ: "hold.read"},
    "case-report": {READ: "case"},
    "case-bundle": {READ: "case"},
    "api-ledger-checkpoint": {READ: "ledger.read"},
    "api-ledger-tile": {READ: "ledger.read"},
    "api-ledger-inclusion": {READ: "ledger.read"},
    "api-ledger-consistency": {READ: "ledger.read"},
    "api-ledger-key": {READ: "ledger.read"},
    "api-decisions": {READ: "decision.read", WRITE: "decision.write"},
    "api-decision": {READ: "decision.read"},
    "api-decision-proof": {READ: "ledger.read decision.write"},
    "api-policies": {READ: "policy.read"},
    "sign-in-rules": {READ: "tenant.manage", WRITE: "tenant.manage"},
    "sign-in-list": {READ: "activity.read"},
    "api-policy": {READ: "policy.read"},
    "api-policy-versions": {READ: "policy.read", WRITE: "policy.draft"},
    "api-policy-version": {READ: "policy.read"},
    "api-policy-version-step": {WRITE: "policy.submit"},
    "api-backtests": {READ: "policy.read", WRITE: "policy.backtest"},
    "api-backtest": {READ: "policy.read", "DELETE": "policy.backtest"},
    "decision-similar": {READ: "decision.read_payload"},
    "decision-feedback": {WRITE: "feedback.write"},
    "api-decision-similar": {READ: "decision.read_payload"},
    "api-decision-assessments": {READ: "decision.read"},
    "api-decision-feedback": {READ: "decision.read"},
    "api-feedback": {WRITE: "feedback.write"},
    "usage": {READ: "decision.read"},
    "usage-csv": {READ: "decision.read"},
    "budget-list": {READ: "decision.read"},
    "budget-create": {READ: "budget.manage", WRITE: "budget.manage"},
    "budget-detail": {READ: "decision.read", WRITE: "budget.manage"},
    "budget-retire": {WRITE: "budget.manage"},
    "api-usage": {READ: "decision.read"},
    "api-budgets": {READ: "decision.read", WRITE: "budget.manage"},
    "api-budget": {READ: "decision.read", "PUT": "budget.manage", "DELETE": "budget.manage"},
    "api-prices": {READ: "decision.read", WRITE: "price.manage"},
    "api-price": {READ: "decision.read"},
    "api-price-quote": {WRITE: "decision.read"},
    "api-restatements": {WRITE: "price.manage"},
    "api-evaluations": {WRITE: "evaluation.ask"},
    "api-otlp-traces": {WRITE: "decision.write"},
    "api-otlp-logs": {WRITE: "decision.write"},
    "api-otlp-metrics": {},  # told where to send them instead
    "api-otlp-langfuse-traces": {WRITE: "decision.write"},
    "api-otlp-langfuse-logs": {WRITE: "decision.write"},
    "api-otlp-langfuse-metrics": {},
    "api-otlp-opik-traces": {WRITE: "decision.write"},
    "api-otlp-opik-logs": {WRITE: "decision.write"},
    "api-otlp-opik-metrics": {},
    "api-mcp": {WRITE: "decision.read"},
    "api-scim-config": {READ: "member.manage"},
    "api-scim-resource-types": {READ: "member.manage"},
    "api-scim-schemas": {READ: "member.manage"},
    "api-scim-users": {READ: "member.manage", WRITE: "member.manage"},
    "api-scim-user": dict.fromkeys((READ, "PUT", "PATCH", "DELETE"), "member.manage"),
    "api-scim-groups": {READ: "member.manage", WRITE: "member.manage"},
    "api-scim-group": dict.fromkeys((READ, "PUT", "PATCH"), "member.manage"),
    "api-cases": {READ: "case.read", WRITE: "case.create"},
    "api-case": {READ: "case.read"},
    "api-case-transitions": {WRITE: "case.create"},
    "api-case-finding-transitions": {WRITE: "case.create"},
    "api-case-request-transitions": {WRITE: "case.create"},
    "api-case-files": {READ: "case.read", WRITE: "case.create"},
    "api-case-file": {READ: "case.read"},
    "api-case-report": {READ: "case.read"},
    "api-case-bundle": {READ: "case.read"},
}
# Routes of no tenant: who they are for is said in tests/invariants/test_registry.py and tests/tenants/test_pages.py.
NO_TENANT = {
    "start", "tenant-choose", "password-choose", "livez", "readyz", "metrics", "openapi", "api-docs",
    # A person's own, whatever they belong to: tests/tenants/test_signin.py.
    "account_login", "account_logout", "account_inactive", "account_reauthenticate", "account_change_password",
    "account_set_password", "mfa_index", "mfa_authenticate", "mfa_reauthenticate", "mfa_activate_totp",
    "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes",
    "mfa_list_webauthn", "mfa_add_webauthn", "mfa_reauthenticate_webauthn", "mfa_remove_webauthn", "mfa_edit_webauthn",
    "mfa_login_webauthn", "openid_connect_login", "openid_connect_callback", "socialaccount_login_cancelled",
    "session-list", "session-end", "session-end-others", "admission",
}  # fmt: skip
UNNAMED = {"admin-login"}
METHODS = (READ, WRITE, "PUT", "PATCH", "DELETE")
MISSING: Mapping[str, object] = {"policy": "no-such-policy", "sha256": "0" * 64, "trace": "f" * 32, "key": "f" * 32}


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """(whole pattern, route) of everything but the inside of the admin, which is checked by its registry."""
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield path, entry
        elif entry.app_name != "admin":
            yield from routes(entry, path)


ROUTES = {str(route.name or path): path for path, route in routes(get_resolver())}
TENANTED = sorted(set(ROUTES) - NO_TENANT - UNNAMED)
PAGES = [name for name in TENANTED if ROUTES[name].startswith("t/")]
WITH_OBJECT = [name for name in TENANTED if ROUTES[name].replace("<slug:tenant>", "").count("<uuid:")
               or "<slug:policy>" in ROUTES[name] or "<sha256>" in ROUTES[name]
               or "<str:trace>" in ROUTES[name]]  # fmt: skip


def test_every_route_is_classified() -> None:
    unknown = set(ROUTES) - set(NEEDS) - NO_TENANT - UNNAMED
    assert unknown == set(), "Say in NEEDS what opens the new route, method by method."


def trace_of(world: World) -> uuid.UUID:
    """The trace of the world's decision."""
    with tenant_atomic(world.cast.tenant.pk):
        trace_id = Decision.objects.get(pk=world.decision).trace_id
    assert trace_id is not None
    return trace_id


def view_of(world: World) -> uuid.UUID:
    with tenant_atomic(world.cast.tenant.pk):
        return SavedView.objects.order_by("id")[0].pk


def link_of(world: World) -> uuid.UUID:
    with tenant_atomic(world.cast.tenant.pk):
        return ApmLink.objects.order_by("id")[0].pk


def thumb_key_of(world: World) -> uuid.UUID:
    with tenant_atomic(world.cast.tenant.pk):
        return ThumbKey.objects.order_by("id")[0].pk


def alert_of(world: World) -> uuid.UUID:
    with tenant_atomic(world.cast.tenant.pk):
        return DriftAlert.objects.order_by("id")[0].pk


def endpoint_of(world: World) -> uuid.UUID:
    with tenant_atomic(world.cast.tenant.pk):
        return WebhookEndpoint.objects.order_by("id")[0].pk


def delivery_of(world: World) -> uuid.UUID:
    with tenant_atomic(world.cast.tenant.pk):
        return WebhookDelivery.objects.order_by("id")[0].pk


def values(name: str, world: World) -> dict[str, object]:
    """What the route's parameters are in a world, the tenant's slug among them."""
    wanted = re.findall(r"<(?:\w+:)?(\w+)>", ROUTES[name])
    with tenant_atomic(world.cast.tenant.pk):
        member = Membership.objects.get(user=world.cast.people[Role.VIEWER])
        item = world.case.items.order_by("-revision", "ordinal")[0]
        key = ApiKey.objects.get(pk=world.cast.keys["read"].row.pk)
    subjects = {
        "api-key": key.pk,
        "decision": world.decision,
        "case-from-alert": alert_of(world),
        "case": world.case.pk,
        "member": member.pk,
        "budget": world.budget,
        "view": view_of(world),
        "apm-link": link_of(world),
        "thumb-key": thumb_key_of(world),
        "drift": alert_of(world),
        "scim-user": member.user_id,
        "webhook-resend": delivery_of(world),
        "webhook": endpoint_of(world),
        "delivery": delivery_of(world),
        "erasure": world.erasure,
        "hold": world.hold,
    }
    about = (word for word in subjects if name.startswith((word, f"api-{word}")))
    known = {
        "tenant": world.cast.tenant.slug,
        "pk": subjects.get(next(about, "")),
        "item": item.pk,
        "policy": world.version.policy.slug,
        "number": world.version.number,
        "step": "ping" if "webhook" in name else "submit",
        "backtest": world.backtest,
        "sha256": world.price_sha256.hex(),
        "path": "0/000.p/1",
        "trace": trace_of(world).hex,
        "key": world.decision.hex,
        "role": Role.VIEWER,
    }
    found = {parameter: known.get(parameter) for parameter in wanted}
    assert None not in found.values(), f"{name}: say in `values` what {found} is"
    return {parameter: value for parameter, value in found.items() if value is not None}


@dataclass(frozen=True)
class Caller:
    """Somebody at the door: a browser signed in, or a program with a key."""

    name: str
    client: Client
    permissions: frozenset[str]
    headers: Mapping[str, str]

    def may(self, needed: str) -> bool:
        if needed == "case" and self.name == Role.EXTERNAL_AUDITOR:
            return True  # the world's case has let them in
        if needed == "view":
            return self.name == Role.AUDITOR  # whose view it is
        needed = "case.read" if needed == "case" else needed
        return needed == "anybody" or bool(self.permissions & set(needed.split()))

    def ask(self, method: str, url: str) -> HttpResponseBase:
        """The answer; what it wrote is undone."""
        with transaction.atomic():
            response = self.client.generic(method, url, headers=dict(self.headers))
            transaction.set_rollback(True)
        response.close()  # files that stream
        self.client.cookies.pop("messages", None)  # what the next page would say
        return response


def callers_of(world: World) -> list[Caller]:
    people = []
    for role, person in world.cast.people.items():
        client = Client(raise_request_exception=False)
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        people.append(Caller(role, client, PERMISSIONS[Role(role)], {}))
    programs = []
    for scope in Scope.values:
        headers = {"Authorization": f"Bearer {world.cast.keys[scope].secret}"}
        programs.append(Caller(scope, Client(raise_request_exception=False), SCOPE_PERMISSIONS[scope], headers))
    return people + programs


@pytest.fixture(scope="module")
def callers(mine: World) -> list[Caller]:
    return callers_of(mine)


@pytest.fixture(scope="module")
def strangers(theirs: World) -> list[Caller]:
    """Everybody of the other tenant, and somebody of none."""
    client = Client(raise_request_exception=False)
    client.force_login(UserFactory.create(), backend="django.contrib.auth.backends.ModelBackend")
    return [*callers_of(theirs), Caller("guest", client, frozenset(), {})]


def fitting(callers: list[Caller], name: str) -> list[Caller]:
    """Browsers for pages, programs for the API."""
    return [caller for caller in callers if bool(caller.headers) != (name in PAGES)]


def expected(caller: Caller, name: str, method: str) -> str:
    needed = NEEDS[name].get(method)
    if needed is None:
        return "not offered"
    return "in" if caller.may(needed) else "refused"


def told(response: HttpResponseBase) -> str:
    status = response.status_code
    if status == 405:
        return "not offered"
    if status in {401, 403, 404} or (status == 302 and "/accounts/login/" in response.headers["Location"]):
        return "refused"
    return "in" if status < 500 else f"broken ({status})"


@pytest.mark.parametrize("name", TENANTED)
def test_a_route_opens_to_exactly_those_it_should(name: str, mine: World, callers: list[Caller]) -> None:
    url = reverse(name, kwargs=values(name, mine))
    wrong = []
    for caller in fitting(callers, name):
        for method in METHODS:
            wanted, got = expected(caller, name, method), told(caller.ask(method, url))
            hidden = wanted == "not offered" and got == "refused" and not any(map(caller.may, NEEDS[name].values()))
            if got != wanted and not hidden:
                wrong.append(f"{method} as {caller.name}: {got}, not {wanted}")
    assert wrong == []


@pytest.mark.parametrize("name", TENANTED)
def test_nobody_comes_in_unknown_or_from_elsewhere(name: str, mine: World, strangers: list[Caller]) -> None:
    url = reverse(name, kwargs=values(name, mine))
    nobody = Caller("nobody", Client(raise_request_exception=False), frozenset(), {})
    assert {told(nobody.ask(method, url)) for method in METHODS} <= {"refused", "not offered"}
    if name in PAGES:
        asked = [(caller, method) for caller in fitting(strangers, name) for method in (READ, WRITE)]
        assert {caller.ask(method, url).status_code for caller, method in asked} == {404}


def elsewhere(name: str, mine: World, theirs: World) -> Iterator[tuple[dict[str, object], dict[str, object]]]:
    """For each parameter that names an object: my values with theirs for that one, and with one that never was."""
    own, foreign = values(name, mine), values(name, theirs)
    for parameter in own.keys() - {"tenant", "path", "step", "number", "role"}:
        yield own | {parameter: foreign[parameter]}, own | {parameter: MISSING.get(parameter, uuid.uuid4())}


def without_chance(response: HttpResponseBase, url: str) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers, less what differs between any two: ids, masks, the address, what a limit leaves."""
    body = getattr(response, "content", b"").decode()
    for pattern in (r'name="csrfmiddlewaretoken" value="[^"]+"', re.escape(url), re.escape(url.rsplit("/", 2)[-2])):
        body = re.sub(pattern, "", body)
    headers = {
        name: value
        for name, value in response.headers.items()
        if name not in {"X-Request-Id", "Content-Length", "RateLimit"}
    }
    return response.status_code, body, headers


@pytest.mark.parametrize("name", WITH_OBJECT)
def test_a_foreign_object_is_as_absent_as_a_missing_one(
    name: str, mine: World, theirs: World, callers: list[Caller]
) -> None:
    for foreign, missing in elsewhere(name, mine, theirs):
        urls = [reverse(name, kwargs=kwargs) for kwargs in (foreign, missing)]
        for caller in fitting(callers, name):
            for method, needed in NEEDS[name].items():
                answers = [without_chance(caller.ask(method, url), url) for url in urls]
                assert answers[0] == answers[1], f"{method} {urls} as {caller.name}"
                # Whoever may read is told 404; a write may be refused for its empty body first, both the same.
                wanted = {404} if method == READ and caller.may(needed) else {400, 403, 404, 411, 422}
                assert answers[0][0] in wanted, f"{method} {urls[0]} as {caller.name}"


ADMIN_MODELS = [model for model in admin.site._registry if model._meta.app_label in OURS]


@pytest.mark.parametrize("model", ADMIN_MODELS, ids=lambda model: model._meta.label)
def test_the_admin_shows_no_foreign_row_either(model: Any, mine: World, theirs: World, callers: list[Caller]) -> None:
    with tenant_atomic(theirs.cast.tenant.pk, using="owner"):
        foreign = model._default_manager.using("owner").order_by("-pk").first()
    assert foreign is not None
    for page in ("change", "delete", "history"):
        urls = [reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=[pk])
                for pk in (foreign.pk, uuid.uuid4())]  # fmt: skip
        for caller in (caller for caller in callers if not caller.headers):
            answers = [caller.ask(READ, url) for url in urls]
            assert answers[0].status_code == answers[1].status_code != 200, f"{page} as {caller.name}"
            assert str(foreign.pk) not in str(answers[0].headers.get("Location", ""))
