"""Where events and the timeline are."""

from django.urls import URLPattern, path

from traces.marks.api import EventList
from traces.marks.views import timeline

page_patterns: list[URLPattern] = [path("timeline/", timeline, name="timeline")]
api_patterns: list[URLPattern] = [path("events", EventList.as_view(), name="api-events")]
