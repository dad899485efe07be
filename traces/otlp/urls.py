"""Where OTLP exporters post: the standard paths, and those of products whose SDKs should work unchanged."""

from django.urls import URLPattern, path

from traces.otlp import views

# After each of these an exporter appends `v1/<signal>`; "" is the standard, the others are Langfuse's and Opik's.
BASES = {"": "api-otlp", "api/public/otel/": "api-otlp-langfuse", "api/v1/private/otel/": "api-otlp-opik"}

urlpatterns: list[URLPattern] = [
    path(f"{base}v1/{signal}", view, name=f"{name}-{signal}")
    for base, name in BASES.items()
    for signal, view in (("traces", views.post_traces), ("logs", views.post_logs), ("metrics", views.post_metrics))
]
