"""The ground floor: who, where, what they may touch, and the ledger every app appends to."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"
