"""Where policies are."""

from django.urls import URLPattern, path

from policies import api, views

page_patterns: list[URLPattern] = [
    path("policies/", views.policy_list, name="policy-list"),
    path("policies/new/", views.policy_new, name="policy-new"),
    path("policies/<slug:policy>/", views.policy_detail, name="policy-detail"),
    path("policies/<slug:policy>/<int:number>/activate/", views.policy_activate, name="policy-activate"),
    path("policies/<slug:policy>/retire/", views.policy_retire, name="policy-retire"),
]
api_patterns: list[URLPattern] = [
    path("policies", api.PolicyList.as_view(), name="api-policies"),
    path("policies/<slug:policy>", api.PolicyDetail.as_view(), name="api-policy"),
]
