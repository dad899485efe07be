"""What the organisation's own directory says of a person."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from tenants.models.base import TenantModel
from tenants.roles import Role


class DirectoryUser(TenantModel):
    """A person whom a SCIM client manages. The seat (`Membership`) follows: `roles` while `is_active`, else none."""

    user = models.ForeignKey("tenants.User", on_delete=models.PROTECT, related_name="+")
    external_id = models.CharField(max_length=200, blank=True)
    display_name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    roles = ArrayField(models.CharField(max_length=32, choices=Role.choices), default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "user"), name="directory_user_unique"),
            models.UniqueConstraint(
                fields=("tenant", "external_id"),
                condition=~models.Q(external_id=""),
                name="directory_external_id_unique",
            ),
        )

    def __str__(self) -> str:
        return self.display_name or str(self.user_id)
