"""Who belongs to a tenant, and in which roles."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from tenants.models.base import TenantModel
from tenants.roles import Role, permissions_of


class Membership(TenantModel):
    """A person's place in a tenant: roles add up, conflicting pairs are refused where they meet."""

    user = models.ForeignKey("tenants.User", on_delete=models.PROTECT, related_name="+")
    roles = ArrayField(models.CharField(max_length=32, choices=Role.choices))
    added_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "user"), name="membership_user_unique"),
            models.CheckConstraint(condition=models.Q(roles__len__gt=0), name="membership_has_role"),
        )

    def __str__(self) -> str:
        return f"{self.user} ({', '.join(self.roles)})"

    @property
    def permissions(self) -> frozenset[str]:
        """Every permission codename that the roles give together."""
        return permissions_of(self.roles)
