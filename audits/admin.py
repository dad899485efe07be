"""Back office: everything about cases can be looked at, nothing changed; the services do that."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from audits.models import Case, CaseEvent, Finding, Report, Signature


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Shows rows to those who read cases."""

    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        actor = getattr(request, "actor", None)
        return bool(actor and actor.may("case.read"))

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    list_display = ("number", "title", "type", "state", "lead", "due")
    list_filter = ("state", "type")
    search_fields = ("title",)
    exclude = ("scope_query",)
    ordering = ("-number",)


@admin.register(CaseEvent)
class CaseEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "case", "tag", "action", "actor_label", "note")
    ordering = ("-id",)


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    list_display = ("case", "number", "kind", "severity", "state")
    list_filter = ("state", "severity")


@admin.register(Signature)
class SignatureAdmin(ReadOnlyAdmin):
    list_display = ("case", "revision", "name_printed", "meaning", "signed_at")
    exclude = ("payload_sha256",)


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ("case", "revision", "kind", "bytes", "built_at")
    exclude = ("content_sha256", "sha256")
