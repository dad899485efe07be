"""Where meaning is."""

from django.urls import URLPattern, path

from traces.meaning import api, public, settings, views

page_patterns: list[URLPattern] = [
    path("decisions/<uuid:pk>/similar/", views.decision_similar, name="decision-similar"),
    path("decisions/<uuid:pk>/feedback/", views.decision_feedback, name="decision-feedback"),
    path("settings/thumbs/", settings.thumb_keys, name="thumb-key-list"),
    path("settings/thumbs/<uuid:pk>/revoke/", settings.thumb_key_revoke, name="thumb-key-revoke"),
]

api_patterns: list[URLPattern] = [
    path("decisions/<uuid:pk>/similar", api.SimilarList.as_view(), name="api-decision-similar"),
    path("decisions/<uuid:pk>/assessments", api.AssessmentList.as_view(), name="api-decision-assessments"),
    path("decisions/<uuid:pk>/feedback", api.DecisionFeedback.as_view(), name="api-decision-feedback"),
    path("feedback", api.FeedbackList.as_view(), name="api-feedback"),
    path("thumbs/<str:key>", public.thumb, name="api-thumbs"),
]
