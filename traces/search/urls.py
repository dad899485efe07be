"""Where views are kept and lists taken away."""

from django.urls import URLPattern, path

from traces.search import views

page_patterns: list[URLPattern] = [
    path("decisions/export/", views.export, name="decision-export"),
    path("decisions/views/", views.view_save, name="view-save"),
    path("decisions/views/<uuid:pk>/remove/", views.view_remove, name="view-remove"),
]
