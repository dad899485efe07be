"""What every tenant-scoped model stands on: the scoped manager, the key, the foreign key."""

import uuid
from typing import Any, TypeVar

from django.db import models

from tenants.context import TenantRequired, current_tenant_id
from tenants.ids import uuid7_now

ModelT = TypeVar("ModelT", bound=models.Model)


class TenantManager(models.Manager[ModelT]):
    """Default and base manager of tenant-scoped models: raises `TenantRequired` outside a tenant."""

    def get_queryset(self) -> models.QuerySet[ModelT]:
        """Every query carries its tenant, beside what the database's own policies add."""
        return super().get_queryset().filter(tenant_id=current_tenant_id())


class TenantForeignKey(models.ForeignKey[Any, Any]):
    """A reference inside one tenant.

    The database constraint is composite, `(tenant_id, x_id) → (tenant_id, id)`, and is made by
    `tenants.isolation.IsolateTable`: a single-column one would let a row point at another tenant's, because
    foreign-key checks pass by row-level security.
    """

    def __init__(self, to: Any, on_delete: Any, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)


class OwnerKey(models.ForeignKey[Any, Any]):
    """Whose row it is: the tenant in context, unless said. Never empty, so it is no field "with a default"."""

    def __init__(self, **kwargs: Any) -> None:
        given: dict[str, Any] = {
            "to": "tenants.Tenant",
            "on_delete": models.PROTECT,
            "related_name": "+",
            "db_index": False,
        }
        super().__init__(**(given | kwargs))

    def get_default(self) -> uuid.UUID:
        """The tenant in context; raises `TenantRequired` when there is none."""
        return current_tenant_id()

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Called for every row that is saved or added in bulk: another tenant's goes no further."""
        require_own(model_instance)
        return super().pre_save(model_instance, add)


def require_own(row: models.Model) -> None:
    """Raise `TenantRequired` for a row of any tenant but the one in context."""
    if getattr(row, "tenant_id", None) != current_tenant_id():
        raise TenantRequired(f"This {row._meta.verbose_name} is not of the tenant in context.")


class TenantRow(models.Model):
    """A row of one tenant, whatever its key."""

    tenant = OwnerKey(db_constraint=False)

    objects = TenantManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
        default_manager_name = "objects"

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Django deletes a loaded row by its key alone, past every manager: so the tenant is looked at here."""
        require_own(self)
        return super().delete(using=using, keep_parents=keep_parents)


class TenantModel(TenantRow):
    """A row of one tenant. The ORM sees `id`; the database's primary key is `(tenant_id, id)`."""

    id = models.UUIDField(primary_key=True, default=uuid7_now, editable=False)
    tenant = OwnerKey()

    class Meta(TenantRow.Meta):
        abstract = True
