"""What every tenant-scoped model stands on: the scoped manager, the key, the foreign key."""

import uuid
from typing import Any, Self, TypeVar

from django.db import models

from tenants.context import current_tenant_id
from tenants.ids import uuid7_now

ModelT = TypeVar("ModelT", bound=models.Model)


class TenantQuerySet(models.QuerySet[ModelT]):
    """A query that already carries its tenant."""

    def for_tenant(self, tenant_id: uuid.UUID) -> Self:
        """Narrow to one tenant by name, beside whatever the context says."""
        return self.filter(tenant_id=tenant_id)


class TenantManager(models.Manager.from_queryset(TenantQuerySet)[ModelT]):  # type: ignore[misc]
    """Default and base manager of tenant-scoped models: raises `TenantRequired` outside a tenant."""

    def get_queryset(self) -> TenantQuerySet[ModelT]:
        return super().get_queryset().filter(tenant_id=current_tenant_id())  # type: ignore[no-any-return]


class TenantForeignKey(models.ForeignKey[Any, Any]):
    """A reference inside one tenant.

    The database constraint is composite, `(tenant_id, x_id) → (tenant_id, id)`, and is made by
    `tenants.isolation.IsolateTable`: a single-column one would let a row point at another tenant's, because
    foreign-key checks pass by row-level security.
    """

    def __init__(self, to: Any, on_delete: Any, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)


class TenantModel(models.Model):
    """A row of one tenant. The ORM sees `id`; the database's primary key is `(tenant_id, id)`."""

    id = models.UUIDField(primary_key=True, default=uuid7_now, editable=False)
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False, default=current_tenant_id
    )

    objects = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
        default_manager_name = "objects"
