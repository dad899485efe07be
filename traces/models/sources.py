"""Completeness: sequence numbers that a source skipped."""

from django.db import models

from tenants.models import TenantForeignKey, TenantModel


class SequenceWatermark(TenantModel):
    """Up to where a source's numbers have been looked at. `id` is the source's."""

    checked_to = models.BigIntegerField()
    checked_at = models.DateTimeField()


class SequenceGap(TenantModel):
    """Numbers that a source skipped: a record that was made and never arrived, until it does."""

    source = TenantForeignKey("tenants.SourceSystem", on_delete=models.PROTECT, related_name="+")
    first_missing = models.BigIntegerField()
    last_missing = models.BigIntegerField()
    noticed_at = models.DateTimeField()
    filled_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "source", "first_missing"),
                condition=models.Q(filled_at=None),
                name="sequence_gap_open_once",
            ),
        )
