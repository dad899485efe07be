"""Where endpoints and deliveries are."""

from django.urls import URLPattern, path

from tenants.webhooks import api, views

page_patterns: list[URLPattern] = [
    path("webhooks/", views.webhook_list, name="webhook-list"),
    path("webhooks/<uuid:pk>/", views.webhook_detail, name="webhook-detail"),
    path("webhooks/<uuid:pk>/ping/", views.webhook_ping, name="webhook-ping"),
    path("webhooks/<uuid:pk>/rotate/", views.webhook_rotate, name="webhook-rotate"),
    path("webhooks/<uuid:pk>/enable/", views.webhook_enable, name="webhook-enable"),
    path("webhooks/<uuid:pk>/disable/", views.webhook_disable, name="webhook-disable"),
    path("webhooks/<uuid:pk>/remove/", views.webhook_remove, name="webhook-remove"),
    path("webhooks/deliveries/<uuid:pk>/resend/", views.webhook_resend, name="webhook-resend"),
]

api_patterns: list[URLPattern] = [
    path("webhooks", api.WebhookList.as_view(), name="api-webhooks"),
    path("webhooks/<uuid:pk>", api.WebhookDetail.as_view(), name="api-webhook"),
    path("webhooks/<uuid:pk>/deliveries", api.WebhookDeliveries.as_view(), name="api-webhook-deliveries"),
    path("webhooks/<uuid:pk>/<str:step>", api.WebhookStep.as_view(), name="api-webhook-step"),
    path("deliveries/<uuid:pk>/resend", api.DeliveryResend.as_view(), name="api-delivery-resend"),
]
