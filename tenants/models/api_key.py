"""Keys of programs. The secret is shown once and kept only as a hash."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from tenants.models.base import TenantForeignKey, TenantModel


class Scope(models.TextChoices):
    INGEST = "ingest", "Ingest: write only, for one source; can neither read nor delete"
    READ = "read", "Read"
    MANAGE = "manage", "Manage"
    DIRECTORY = "directory", "Directory: brings members and gives roles by SCIM, and does nothing else"


class ApiKey(TenantModel):
    """A program's credential: `aff_<tenant and key id>_<secret>`."""

    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=40, editable=False)  # the public part, safe to show
    secret_sha256 = models.BinaryField(max_length=32, editable=False)  # 200 random bits need no slow hash
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope.choices))
    source = TenantForeignKey("tenants.SourceSystem", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey("tenants.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "prefix"), name="api_key_prefix_unique"),
            models.CheckConstraint(condition=models.Q(scopes__len__gt=0), name="api_key_has_scope"),
            models.CheckConstraint(
                condition=~models.Q(scopes__contains=["ingest"]) | models.Q(source__isnull=False),
                name="api_key_ingest_has_source",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def is_live(self, at: datetime) -> bool:
        """Whether the key opens anything at this moment."""
        ends = [end for end in (self.expires_at, self.revoked_at) if end is not None]
        return all(at < end for end in ends)
