"""Where cases are: pages under `/t/<tenant>/`, the API under `/api/v1/`."""

from django.urls import URLPattern, path

from audits import (
    alert_views,
    api,
    casework_api,
    casework_views,
    erasure_api,
    erasure_views,
    evidence_api,
    hold_api,
    hold_views,
    views,
)

page_patterns: list[URLPattern] = [
    path("cases/", views.case_list, name="case-list"),
    path("cases/rule/", alert_views.alert_rule, name="alert-rule"),
    path("cases/from-alert/<uuid:pk>/", alert_views.case_from_alert, name="case-from-alert"),
    path("cases/new/", views.case_create, name="case-create"),
    path("cases/<uuid:pk>/", views.case_detail, name="case-detail"),
    path("cases/<uuid:pk>/plan/", views.plan, name="case-plan"),
    path("cases/<uuid:pk>/sample/", views.sample, name="case-sample"),
    path("cases/<uuid:pk>/move/", views.move, name="case-move"),
    path("cases/<uuid:pk>/sign/", views.sign, name="case-sign"),
    path("cases/<uuid:pk>/items/<uuid:item>/", views.item_review, name="case-item"),
    path("cases/<uuid:pk>/findings/new/", views.finding_create, name="case-finding"),
    path("cases/<uuid:pk>/findings/", casework_views.findings, name="case-findings"),
    path("cases/<uuid:pk>/findings/<int:number>/", casework_views.finding_step, name="case-finding-step"),
    path("cases/<uuid:pk>/evidence/", casework_views.evidence, name="case-evidence"),
    path("cases/<uuid:pk>/requests/", casework_views.request_create, name="case-request"),
    path("cases/<uuid:pk>/requests/<int:number>/", casework_views.request_step, name="case-request-step"),
    path("cases/<uuid:pk>/files/", casework_views.file_add, name="case-file-add"),
    path("cases/<uuid:pk>/files/<int:number>/", casework_views.file_download, name="case-file"),
    path("cases/<uuid:pk>/review/", casework_views.review, name="case-review"),
    path("cases/<uuid:pk>/notes/", casework_views.note_create, name="case-note"),
    path("cases/<uuid:pk>/notes/<int:number>/", casework_views.note_step, name="case-note-step"),
    path("cases/<uuid:pk>/procedures/", casework_views.procedures, name="case-procedures"),
    path("cases/<uuid:pk>/procedures/new/", casework_views.procedure_create, name="case-procedure"),
    path("cases/<uuid:pk>/procedures/<int:number>/", casework_views.procedure_test, name="case-test"),
    path("cases/<uuid:pk>/timeline/", casework_views.timeline, name="case-timeline"),
    path("cases/<uuid:pk>/timeline/new/", casework_views.comment, name="case-comment"),
    path("cases/<uuid:pk>/access/", casework_views.access, name="case-access"),
    path("cases/<uuid:pk>/access/grant/", casework_views.grant, name="case-grant"),
    path("cases/<uuid:pk>/access/revoke/", casework_views.revoke, name="case-revoke"),
    path("cases/<uuid:pk>/clock/", casework_views.clock, name="case-clock"),
    path("cases/<uuid:pk>/revisions/<int:number>/", casework_views.revision, name="case-revision"),
    path(
        "cases/<uuid:pk>/revisions/<int:number>/report.pdf", casework_views.revision_report, name="case-revision-report"
    ),
    path(
        "cases/<uuid:pk>/revisions/<int:number>/bundle.zip", casework_views.revision_bundle, name="case-revision-bundle"
    ),
    path("erasures/", erasure_views.erasure_list, name="erasure-list"),
    path("erasures/<uuid:pk>/", erasure_views.erasure_detail, name="erasure-detail"),
    path("erasures/<uuid:pk>/approve/", erasure_views.approve, name="erasure-approve"),
    path("erasures/<uuid:pk>/reject/", erasure_views.reject, name="erasure-reject"),
    path("erasures/<uuid:pk>/certificate.json", erasure_views.certificate, name="erasure-certificate"),
    path("holds/", hold_views.hold_list, name="hold-list"),
    path("holds/<uuid:pk>/release/", hold_views.hold_release, name="hold-release"),
    path("decisions/<uuid:pk>/reads/", casework_views.decision_reads, name="decision-reads"),
    path("cases/<uuid:pk>/report.pdf", views.report, name="case-report"),
    path("cases/<uuid:pk>/bundle.zip", views.bundle, name="case-bundle"),
]

api_patterns: list[URLPattern] = [
    path("cases", api.CaseList.as_view(), name="api-cases"),
    path("cases/<uuid:pk>", api.CaseDetail.as_view(), name="api-case"),
    path("cases/<uuid:pk>/transitions", casework_api.CaseTransitions.as_view(), name="api-case-transitions"),
    path(
        "cases/<uuid:pk>/findings/<int:number>/transitions",
        casework_api.FindingTransitions.as_view(),
        name="api-case-finding-transitions",
    ),
    path(
        "cases/<uuid:pk>/requests/<int:number>/transitions",
        casework_api.RequestTransitions.as_view(),
        name="api-case-request-transitions",
    ),
    path("cases/<uuid:pk>/files", evidence_api.CaseFiles.as_view(), name="api-case-files"),
    path("cases/<uuid:pk>/files/<int:number>", evidence_api.CaseFile.as_view(), name="api-case-file"),
    path("erasures", erasure_api.ErasureList.as_view(), name="api-erasures"),
    path("erasures/<uuid:pk>", erasure_api.ErasureDetail.as_view(), name="api-erasure"),
    path("erasures/<uuid:pk>/certificate", erasure_api.ErasureCertificate.as_view(), name="api-erasure-certificate"),
    path("holds", hold_api.HoldList.as_view(), name="api-holds"),
    path("holds/<uuid:pk>", hold_api.HoldDetail.as_view(), name="api-hold"),
    path("cases/<uuid:pk>/report.pdf", api.CaseReport.as_view(), name="api-case-report"),
    path("cases/<uuid:pk>/bundle.zip", api.CaseBundle.as_view(), name="api-case-bundle"),
]
