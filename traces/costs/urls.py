"""Where usage and budgets are."""

from django.urls import URLPattern, path, re_path

from traces.costs import api, views

page_patterns: list[URLPattern] = [
    path("usage/", views.usage, name="usage"),
    path("usage/lines.csv", views.usage_csv, name="usage-csv"),
    path("usage/budgets/", views.budget_list, name="budget-list"),
    path("usage/budgets/new/", views.budget_create, name="budget-create"),
    path("usage/budgets/<uuid:pk>/", views.budget_detail, name="budget-detail"),
    path("usage/budgets/<uuid:pk>/retire/", views.budget_retire, name="budget-retire"),
]

api_patterns: list[URLPattern] = [
    path("usage", api.UsageView.as_view(), name="api-usage"),
    path("budgets", api.BudgetList.as_view(), name="api-budgets"),
    path("budgets/<uuid:pk>", api.BudgetDetail.as_view(), name="api-budget"),
    path("prices", api.PriceList.as_view(), name="api-prices"),
    path("prices/restatements", api.RestatementList.as_view(), name="api-restatements"),
    path("prices/quote", api.PriceQuote.as_view(), name="api-price-quote"),
    re_path(r"^prices/(?:sha256:)?(?P<sha256>[0-9a-f]{64})$", api.PriceDetail.as_view(), name="api-price"),
]
