"""Where traces, sessions, users and the links to other tools are."""

from django.urls import URLPattern, path

from traces.trees import settings, views

page_patterns: list[URLPattern] = [
    path("traces/<str:trace>/", views.trace, name="trace"),
    path("traces/<str:trace>/rows/", views.trace_rows, name="trace-rows"),
    path("traces/<str:trace>/spans/<str:key>/", views.trace_span, name="trace-span"),
    path("sessions/", views.session, name="session"),
    path("users/", views.app_user, name="app-user"),
    path("settings/links/", settings.apm_links, name="apm-link-list"),
    path("settings/links/<uuid:pk>/remove/", settings.apm_link_remove, name="apm-link-remove"),
]
