"""Where decisions are: pages under `/t/<tenant>/`, the API under `/api/v1/`."""

from django.urls import URLPattern, path

from traces import api, beginning, evaluations, views
from traces.costs import urls as costs
from traces.drift import urls as drift
from traces.marks import urls as marks
from traces.meaning import urls as meaning
from traces.search import urls as search
from traces.trees import urls as trees

page_patterns: list[URLPattern] = [
    path("decisions/", views.decision_list, name="decision-list"),
    path("decisions/first/", beginning.first_record, name="first-record"),
    path("decisions/<uuid:pk>/", views.decision_detail, name="decision-detail"),
    path("decisions/<uuid:pk>/verify/", views.verify_decision, name="decision-verify"),
    path("decisions/<uuid:pk>/proof/", views.decision_proof, name="decision-proof"),
    *costs.page_patterns,
    *drift.page_patterns,
    *meaning.page_patterns,
    *marks.page_patterns,
    *search.page_patterns,
    *trees.page_patterns,
]

api_patterns: list[URLPattern] = [
    path("decisions", api.DecisionList.as_view(), name="api-decisions"),
    path("decisions/<uuid:pk>", api.DecisionDetail.as_view(), name="api-decision"),
    path("evaluations", evaluations.EvaluationList.as_view(), name="api-evaluations"),
    *costs.api_patterns,
    *drift.api_patterns,
    *meaning.api_patterns,
    *marks.api_patterns,
]
