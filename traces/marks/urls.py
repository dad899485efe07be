"""Where events and the timeline are."""

from django.urls import URLPattern, path

from traces.marks import api, views

page_patterns: list[URLPattern] = [path("timeline/", views.timeline, name="timeline")]
api_patterns: list[URLPattern] = [path("events", api.EventList.as_view(), name="api-events")]
