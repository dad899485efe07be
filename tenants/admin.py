"""Back office: everything can be looked at by whoever may, nothing changed; the services do that, and leave a leaf."""

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from tenants.models import ApiKey, LedgerEvent, Membership, SourceSystem, User
from tenants.roles import Role


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Shows a tenant's rows to those who hold `permission` there. Other apps' admins stand on it too."""

    permission: ClassVar[str]
    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        actor = getattr(request, "actor", None)
        return actor is not None and actor.may(self.permission)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """Every column a person can read; bytes (hashes, salts, sealed content) are left out."""
        if self.fields:
            return list(self.fields)
        return [field.name for field in self.model._meta.fields if not isinstance(field, models.BinaryField)]

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        return self.get_fields(request, obj)


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """The people of this tenant; an account as such is global."""

    permission = "member.manage"
    list_display = ("email", "name", "is_active", "last_login")
    search_fields = ("email", "name")
    fields = ("email", "name", "is_active", "date_joined", "last_login")
    ordering = ("email",)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[User]:
        members = Membership.objects.values("user_id")
        return User.objects.filter(pk__in=members).order_by("email")


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    permission = "member.manage"
    list_display = ("user", "role_names", "added_at", "expires_at")
    list_select_related = ("user",)
    ordering = ("-added_at",)

    @admin.display(description="Roles")
    def role_names(self, row: Membership) -> str:
        return ", ".join(Role(role).label for role in row.roles)


@admin.register(SourceSystem)
class SourceSystemAdmin(ReadOnlyAdmin):
    permission = "source.manage"
    list_display = ("name", "created_at")
    ordering = ("name",)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    permission = "key.manage"
    list_display = ("name", "prefix", "scopes", "source", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("source",)
    search_fields = ("name", "prefix")
    ordering = ("-created_at",)


@admin.register(LedgerEvent)
class LedgerEventAdmin(ReadOnlyAdmin):
    """The product's own events, with what each says."""

    permission = "activity.read"
    list_display = ("id", "tag", "actor", "says")
    search_fields = ("tag", "actor")
    list_filter = ("tag",)
    fields = ("id", "tag", "actor", "says")
    ordering = ("-id",)
    show_full_result_count = False

    @admin.display(description="Body")
    def says(self, row: LedgerEvent) -> str:
        return json.dumps(json.loads(bytes(row.body)), ensure_ascii=False, indent=1)
