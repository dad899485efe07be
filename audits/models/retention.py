"""How long content is kept, and what was purged when its time was over."""

from django.db import models
from django.utils import timezone

from audits.retention_classes import FLOOR_DAYS
from tenants.models import TenantModel


class RetentionRule(TenantModel):
    """How long the content of a system's decisions is kept; empty `system`: of all that have no rule of their own."""

    system = models.CharField(max_length=200, blank=True)
    retention_class = models.CharField(max_length=40)
    floor_days = models.IntegerField()
    keep_days = models.IntegerField()
    set_by = models.CharField(max_length=200)
    set_label = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=timezone.now)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "system"), name="retention_system_unique"),
            models.CheckConstraint(
                condition=models.Q(floor_days__gte=FLOOR_DAYS, keep_days__gte=models.F("floor_days")),
                name="retention_not_below_floor",
            ),
        )

    def __str__(self) -> str:
        return self.system or "all other systems"


class PurgeState(models.TextChoices):
    RUNNING = "running", "Purging"
    COMPLETED = "completed", "Completed"


class Purge(TenantModel):
    """One run over what a rule lets go. Its receipt is the leaf that its end leaves."""

    number = models.IntegerField(editable=False)  # 1, 2, 3 … within the tenant
    system = models.CharField(max_length=200, blank=True)
    retention_class = models.CharField(max_length=40)
    keep_days = models.IntegerField()
    before = models.DateTimeField()  # received before this
    state = models.CharField(max_length=20, choices=PurgeState.choices, default=PurgeState.RUNNING)
    removed = models.JSONField(default=dict)  # what → how many, so far
    held = models.IntegerField(default=0)  # contents that holds and open cases kept
    records_sha256 = models.BinaryField(max_length=32, null=True)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    completed_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "number"), name="purge_number_unique"),
            models.UniqueConstraint(
                fields=("tenant", "system"), condition=models.Q(state="running"), name="purge_one_at_a_time"
            ),
            models.CheckConstraint(condition=models.Q(keep_days__gte=FLOOR_DAYS), name="purge_not_below_floor"),
            models.CheckConstraint(
                condition=~models.Q(state="completed")
                | models.Q(completed_at__isnull=False, records_sha256__isnull=False),
                name="purge_completed_whole",
            ),
        )

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """How people call it: `P-7`."""
        return f"P-{self.number}"

    @property
    def spoken_reason(self) -> str:
        """What stands in the content's place."""
        return f"{self.reference}: kept for {self.keep_days} days, then purged"
