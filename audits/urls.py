"""Where cases are: pages under `/t/<tenant>/`, the API under `/api/v1/`."""

from django.urls import URLPattern, path

from audits import api, views

page_patterns: list[URLPattern] = [
    path("cases/", views.case_list, name="case-list"),
    path("cases/new/", views.case_create, name="case-create"),
    path("cases/<uuid:pk>/", views.case_detail, name="case-detail"),
    path("cases/<uuid:pk>/plan/", views.plan, name="case-plan"),
    path("cases/<uuid:pk>/sample/", views.sample, name="case-sample"),
    path("cases/<uuid:pk>/move/", views.move, name="case-move"),
    path("cases/<uuid:pk>/sign/", views.sign, name="case-sign"),
    path("cases/<uuid:pk>/items/<uuid:item>/", views.item_review, name="case-item"),
    path("cases/<uuid:pk>/findings/new/", views.finding_create, name="case-finding"),
    path("cases/<uuid:pk>/report.pdf", views.report, name="case-report"),
    path("cases/<uuid:pk>/bundle.zip", views.bundle, name="case-bundle"),
]

api_patterns: list[URLPattern] = [
    path("cases", api.CaseList.as_view(), name="api-cases"),
    path("cases/<uuid:pk>", api.CaseDetail.as_view(), name="api-case"),
    path("cases/<uuid:pk>/report.pdf", api.CaseReport.as_view(), name="api-case-report"),
    path("cases/<uuid:pk>/bundle.zip", api.CaseBundle.as_view(), name="api-case-bundle"),
]
