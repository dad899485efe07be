"""Where alerts on behaviour are."""

from django.urls import URLPattern, path

from traces.drift import api, views

page_patterns: list[URLPattern] = [
    path("behaviour/", views.drift_list, name="drift-list"),
    path("behaviour/<uuid:pk>/", views.drift_detail, name="drift-detail"),
    path("behaviour/<uuid:pk>/acknowledge/", views.drift_acknowledge, name="drift-acknowledge"),
    path("behaviour/<uuid:pk>/mute/", views.drift_mute, name="drift-mute"),
    path("behaviour/<uuid:pk>/expected/", views.drift_expect, name="drift-expect"),
]

api_patterns: list[URLPattern] = [
    path("drift", api.DriftList.as_view(), name="api-drift"),
    path("drift/<uuid:pk>", api.DriftDetail.as_view(), name="api-drift-alert"),
]
