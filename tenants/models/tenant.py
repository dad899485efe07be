"""Tenants, and the systems that submit records to them."""

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from tenants.ids import uuid7_now
from tenants.models.base import TenantModel

slug_validator = RegexValidator(r"^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$", "Use 3 to 40 of a-z, 0-9 and hyphen.")


class Tenant(models.Model):
    """An organisation: the root of everything it owns. Row-level security shows a tenant only itself."""

    id = models.UUIDField(primary_key=True, default=uuid7_now, editable=False)
    slug = models.CharField(max_length=40, unique=True, validators=[slug_validator])
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    policy_epoch = models.BigIntegerField(default=0, editable=False)  # raised when a policy starts or stops applying
    erasure_epoch = models.BigIntegerField(default=0, editable=False)  # raised when a subject's key is destroyed
    # What its keys may use together (`tenants.metering`); empty: what the instance allows everybody, 0: without limit.
    records_per_second = models.PositiveIntegerField(null=True, blank=True, editable=False)
    requests_per_second = models.PositiveIntegerField(null=True, blank=True, editable=False)
    # What sign-in asks for, from when on; a moment ahead is a grace (`tenants.sign_in_rules`).
    second_factor_from = models.DateTimeField(null=True, editable=False)
    sso_provider = models.CharField(max_length=60, blank=True, default="", editable=False)
    sso_from = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(sso_provider="", sso_from__isnull=True)
                | (~models.Q(sso_provider="") & models.Q(sso_from__isnull=False)),
                name="tenant_sso_provider_with_moment",
            ),
        )

    def __str__(self) -> str:
        return self.name


class SourceSystem(TenantModel):
    """Something that submits records. It numbers them (`source_seq`), so that a missing one is seen."""

    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "name"), name="source_name_unique"),)

    def __str__(self) -> str:
        return self.name
