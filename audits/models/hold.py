"""Legal holds: what must not be erased or purged, by whose word, and until when that is looked at again."""

from django.db import models
from django.utils import timezone

from audits.models.case import Case
from tenants.models import TenantForeignKey, TenantModel


class HoldScope(models.TextChoices):
    RECORD = "record", "One record"
    QUERY = "query", "Every record that a filter finds"
    SUBJECT = "subject", "One person's records"
    CASE = "case", "The records of a case"


class Hold(TenantModel):
    """A hold. What it covers never changes; it ends with its release, by somebody other than who placed it.

    `query` is the frozen filter as canonical JSON; a subject is known by the keyed hash of the name, which is sealed.
    """

    number = models.IntegerField(editable=False)  # 1, 2, 3 … within the tenant
    scope = models.CharField(max_length=10, choices=HoldScope.choices)
    decision = TenantForeignKey("traces.Decision", on_delete=models.PROTECT, null=True, related_name="+")
    query = models.BinaryField(default=bytes)
    subject_hmac = models.BinaryField(max_length=32, null=True)
    sealed_subject = models.BinaryField(default=bytes)
    case = TenantForeignKey(Case, on_delete=models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=500)
    review_on = models.DateField(null=True)
    placed_by = models.CharField(max_length=200)
    placed_label = models.CharField(max_length=200)
    placed_at = models.DateTimeField(default=timezone.now, editable=False)
    released_by = models.CharField(max_length=200, blank=True)
    released_label = models.CharField(max_length=200, blank=True)
    released_at = models.DateTimeField(null=True)
    release_reason = models.CharField(max_length=500, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = "hold"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "number"), name="hold_number_unique"),
            models.CheckConstraint(
                condition=models.Q(scope=HoldScope.RECORD, decision__isnull=False)
                | models.Q(scope=HoldScope.QUERY) & ~models.Q(query=b"")
                | models.Q(scope=HoldScope.SUBJECT, subject_hmac__isnull=False)
                | models.Q(scope=HoldScope.CASE, case__isnull=False),
                name="hold_covers_something",
            ),
            models.CheckConstraint(
                condition=~models.Q(released_by=models.F("placed_by")), name="hold_released_by_another"
            ),
            models.CheckConstraint(
                condition=models.Q(released_at__isnull=True, released_by="", release_reason="")
                | models.Q(released_at__isnull=False) & ~models.Q(released_by="") & ~models.Q(release_reason=""),
                name="hold_released_whole",
            ),
        )
        indexes = (models.Index(fields=("tenant", "number"), condition=models.Q(released_at=None), name="hold_live"),)

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """How people call it: `H-2`."""
        return f"H-{self.number}"
