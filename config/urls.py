"""Every address of the site: pages of a tenant, the API, the admin, health."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

import audits.urls
import policies.urls
import tenants.urls
import traces.otlp.urls
import traces.urls
from config import finding, health, home
from config.mcp import mcp
from config.metrics import metrics

handler404, handler500 = "config.refusals.not_found", "config.refusals.broken"

page_patterns = [
    path("", home.home, name="tenant-home"),
    path("go/", finding.go, name="go"),
    path("ledger/", home.ledger_health, name="ledger-health"),
    *tenants.urls.page_patterns,
    *traces.urls.page_patterns,
    *policies.urls.page_patterns,
    *audits.urls.page_patterns,
]
api_patterns = [
    *tenants.urls.api_patterns,
    *traces.urls.api_patterns,
    *policies.urls.api_patterns,
    *audits.urls.api_patterns,
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("t/<slug:tenant>/", include(page_patterns)),
    path("api/v1/", include(api_patterns)),
    path("api/v1/openapi.json", login_not_required(SpectacularJSONAPIView.as_view()), name="openapi"),
    path("api/docs/", login_not_required(SpectacularSwaggerSplitView.as_view(url_name="openapi")), name="api-docs"),
    *traces.otlp.urls.urlpatterns,
    path("mcp", mcp, name="api-mcp"),
    path(
        "admin/login/",
        login_not_required(RedirectView.as_view(pattern_name="account_login", query_string=True)),
        name="admin-login",
    ),
    path("admin/", admin.site.urls),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    *tenants.urls.urlpatterns,
]
