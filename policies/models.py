"""Policies: identity, immutable versions, when they apply, and the sets that are in force together."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.utils import timezone

from tenants.models import TenantForeignKey, TenantModel


class Mode(models.TextChoices):
    ENFORCE = "enforce", "Enforced"
    SHADOW = "shadow", "Shadow"


class Policy(TenantModel):
    """A policy's identity; what it says is in its versions."""

    slug = models.CharField(max_length=100)
    title = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = "policy"
        verbose_name_plural = "policies"
        constraints = (models.UniqueConstraint(fields=("tenant", "slug"), name="policy_slug_unique"),)

    def __str__(self) -> str:
        return self.title


class PolicyVersion(TenantModel):
    """What a policy says, content-addressed: `sha256` is of the canonical document. Never changed."""

    policy = TenantForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.IntegerField()
    sha256 = models.BinaryField(max_length=32)
    source = models.TextField()  # as its author typed it
    canonical = models.BinaryField()
    risk_class = models.CharField(max_length=10)
    change_reason = models.TextField(blank=True)
    author = models.ForeignKey("tenants.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "policy", "number"), name="policy_version_number_unique"),
        )

    def __str__(self) -> str:
        return f"{self.policy.slug} v{self.number}"


class PolicyActivation(TenantModel):
    """When a version applies. Ranges of one policy and mode never overlap: the database refuses.

    Closing sets the upper bound once; the lower one never changes. Nothing starts in the past.
    """

    policy = TenantForeignKey(Policy, on_delete=models.PROTECT, related_name="activations")
    version = TenantForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="activations")
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.ENFORCE)
    effective = DateTimeRangeField()
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)
    activated_by = models.ForeignKey("tenants.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta(TenantModel.Meta):
        constraints = (
            ExclusionConstraint(
                name="policy_activation_no_overlap",
                expressions=[
                    ("tenant", RangeOperators.EQUAL),
                    ("policy", RangeOperators.EQUAL),
                    ("mode", RangeOperators.EQUAL),
                    ("effective", RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                condition=models.Q(effective__isempty=False) & models.Q(effective__lower_inf=False),
                name="policy_activation_range",
            ),
        )


class PolicySet(TenantModel):
    """The versions in force together somewhere, content-addressed: what a decision says it was judged by."""

    sha256 = models.BinaryField(max_length=32)
    members = models.BinaryField()  # canonical JSON: [[policy slug, version sha256 hex, mode], …]
    first_used_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "sha256"), name="policy_set_unique"),)
