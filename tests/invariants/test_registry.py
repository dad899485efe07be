"""New things declare themselves: each model its tenancy and mutability, each URL who may come in."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connections, models
from django.urls import URLPattern, URLResolver, get_resolver

from tenants.models.base import TenantForeignKey, TenantManager
from tenants.provision import GLOBAL_TABLES

OURS = ("tenants", "policies", "traces", "audits")
ROOT_TABLE = "tenants_tenant"  # isolated by its own id

# Model → whether its rows may change after they were written. A new model fails the test until it is listed.
MUTABLE = {
    "tenants.Tenant", "tenants.User", "tenants.Membership", "tenants.ApiKey", "tenants.SourceSystem",
    "tenants.RefusedSignIn",
    "tenants.SubjectKey", "tenants.LedgerLog", "tenants.LedgerQueue", "tenants.LedgerTile", "tenants.LedgerAnchor",
    "tenants.DirectoryUser",
    "tenants.Notification", "tenants.NotificationMark",
    "tenants.WebhookEndpoint", "tenants.WebhookDelivery", "tenants.WebhookAttempt",  # tries go with their delivery
    "policies.Policy", "policies.PolicyActivation", "policies.PolicyReview", "policies.PolicyBacktest",
    "policies.PolicyFollowUp",
    "traces.Embedding", "traces.MeaningQueue", "traces.Remark",
    "traces.DecisionPayload", "traces.SequenceGap", "traces.SequenceWatermark",
    "traces.ApmLink", "traces.ThumbKey", "traces.SavedView", "traces.SearchQueue", "traces.SearchToken",
    "traces.Baseline", "traces.DriftAlertState", "traces.DriftQueue", "traces.DriftWatch",
    "audits.AlertRule",
    "audits.Case", "audits.CaseItem", "audits.CaseUserObjectPermission", "audits.Finding", "audits.ReportDocument",
    "audits.Erasure", "audits.Hold", "audits.Letter", "audits.Purge", "audits.RetentionRule",
    "audits.CaseClock", "audits.EvidenceContent", "audits.EvidenceRequest", "audits.ReviewNote", "audits.TestStep",
    "traces.Budget", "traces.RollupQueue", "traces.SubjectRollup", "traces.UsageRollup",
}  # fmt: skip
APPEND_ONLY = {
    "tenants.TenantKey", "tenants.LedgerLeaf", "tenants.LedgerCheckpoint", "tenants.LedgerEvent", "tenants.LedgerKey",
    "policies.PolicyVersion", "policies.PolicySet", "policies.PolicyApproval",
    "traces.BudgetAlert", "traces.CostAnomaly", "traces.ListPrice", "traces.ModelPrice", "traces.RestatedCost",
    "traces.Restatement",
    "traces.Assessment", "traces.Feedback",
    "traces.Decision", "traces.Deployment", "traces.ModelVersion", "traces.Pairing", "traces.Submission",
    "traces.RuleHit", "traces.ErasedContent",
    "audits.AlertCase",
    "audits.CaseEvent", "audits.CaseRevision", "audits.Population", "audits.Report", "audits.Sample",
    "audits.Signature", "audits.EvidenceFile", "audits.Procedure",
    "traces.Mark", "traces.Span", "traces.SpanContent", "traces.Evaluation", "traces.DriftAlert",
}  # fmt: skip

# Views that answer without a session: API views check a key, the others show nothing of anybody.
PUBLIC = {
    "admin-login", "password-choose", "livez", "readyz", "metrics", "openapi", "api-docs",
    "account_login", "account_logout", "account_inactive", "mfa_authenticate", "mfa_login_webauthn",
    "openid_connect_login", "openid_connect_callback", "socialaccount_login_cancelled",
}  # fmt: skip


def our_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if model._meta.app_label in OURS and not model._meta.auto_created]


def test_every_model_says_whether_its_rows_change() -> None:
    names = {model._meta.label for model in our_models()}
    listed = MUTABLE | APPEND_ONLY
    assert not MUTABLE & APPEND_ONLY
    assert names - listed == set(), "List the new model in MUTABLE or APPEND_ONLY."
    assert listed - names == set(), "Take the gone model off the list."


def test_append_only_models_have_their_triggers() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'append_only_rows' AND tgenabled = 'A'"
        )
        guarded = {row[0] for row in cursor.fetchall()}
    tables = {apps.get_model(label)._meta.db_table for label in APPEND_ONLY}
    assert tables <= guarded
    assert not {apps.get_model(label)._meta.db_table for label in MUTABLE} & guarded


def test_every_table_is_isolated_or_known_to_be_global() -> None:
    for model in our_models():
        table = model._meta.db_table
        if table in GLOBAL_TABLES or table == ROOT_TABLE:
            continue
        assert "tenant" in {field.name for field in model._meta.fields}, (
            f"{table} needs a tenant or a line in GLOBAL_TABLES"
        )
        assert isinstance(model._default_manager, TenantManager), f"{table}: the default manager must be TenantManager"
        assert isinstance(model._base_manager, TenantManager), f"{table}: the base manager must be TenantManager"


def test_references_inside_a_tenant_carry_it() -> None:
    for model in our_models():
        for field in model._meta.local_fields:
            if isinstance(field, models.ForeignKey) and field.name != "tenant":
                target = field.remote_field.model
                is_tenant_scoped = isinstance(target._default_manager, TenantManager)
                assert isinstance(field, TenantForeignKey) == is_tenant_scoped, f"{model._meta.label}.{field.name}"


def named_patterns(resolver: URLResolver, namespace: str = "") -> Iterator[URLPattern]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            if pattern.app_name not in {"admin"}:
                yield from named_patterns(pattern)
        else:
            yield pattern


def test_every_url_is_guarded_or_known_to_be_public() -> None:
    for pattern in named_patterns(get_resolver()):
        view = pattern.callback
        open_to_all = not getattr(view, "login_required", True)
        if not open_to_all or pattern.name in PUBLIC:
            continue
        guarded_by_key = str(pattern.name or "").startswith("api-") or hasattr(view, "cls")
        assert guarded_by_key, f"{pattern.name or pattern.pattern}: guard it, or list it in PUBLIC with a reason"


def test_drf_views_name_what_they_need() -> None:
    for pattern in named_patterns(get_resolver()):
        view = getattr(pattern.callback, "cls", None)
        if view is not None and pattern.name not in PUBLIC:
            assert getattr(view, "permissions", None), f"{view.__name__} must name its permissions by method"


def test_unknown_middleware_order_is_not_possible() -> None:
    order = settings.MIDDLEWARE
    login = order.index("django.contrib.auth.middleware.LoginRequiredMiddleware")
    assert order.index("tenants.middleware.TenantMiddleware") > login, (
        "A tenant is looked up for people who are signed in"
    )


@pytest.mark.parametrize("label", sorted(APPEND_ONLY))
def test_the_web_role_cannot_change_what_is_append_only(label: str) -> None:
    table = apps.get_model(label)._meta.db_table
    with connections["default"].cursor() as cursor:
        for privilege in ("UPDATE", "DELETE", "TRUNCATE"):
            cursor.execute("SELECT has_table_privilege(%s, %s)", [table, privilege])
            assert cursor.fetchone() == (False,), f"{privilege} on {table}"
