"""Behaviour: what is waiting to be looked at, the baseline, what a watch holds, and what was noticed."""

from datetime import datetime

from django.db import models
from django.utils import timezone

from tenants.models import TenantForeignKey, TenantModel
from tenants.models.base import TenantRow
from traces.models.decision import Deployment, ModelVersion


class DriftQueue(TenantRow):
    """Decisions that no watch has seen yet; one leaves in the transaction that takes it in (`drift.worker`)."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    id = models.UUIDField()  # a decision's
    deployment = TenantForeignKey(Deployment, on_delete=models.PROTECT, related_name="+", db_index=False)
    occurred_at = models.DateTimeField()  # taken in order of it: an import's thousand rows have one received time

    class Meta(TenantRow.Meta):
        indexes = (models.Index(fields=("tenant", "deployment", "occurred_at", "id"), name="drift_queue_order"),)


class BucketGrain(models.IntegerChoices):
    HOUR = 1, "Hour"
    DAY = 2, "Day"


class Baseline(TenantRow):
    """Mergeable sums (`drift.buckets`) of an hour, later of a day: deployment × segment × model and prompt × policy."""

    pk = models.CompositePrimaryKey(
        "tenant_id", "deployment", "grain", "bucket", "segment", "model_version", "policy", "feature_version"
    )
    deployment = TenantForeignKey(Deployment, on_delete=models.PROTECT, related_name="+", db_index=False)
    grain = models.SmallIntegerField(choices=BucketGrain.choices)
    bucket = models.DateTimeField()  # its start
    segment = models.CharField(max_length=100)
    model_version = TenantForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    policy = models.CharField(max_length=100)  # the version the application names, else the policy set's first digits
    feature_version = models.SmallIntegerField()
    n = models.BigIntegerField()
    sums = models.BinaryField()


class DriftWatch(TenantModel):
    """What the watch of a deployment holds between two runs. `id` is the deployment's."""

    state = models.BinaryField()  # `drift.state`
    seen_to = models.DateTimeField()  # occurred_at of the newest decision taken in
    n_seen = models.BigIntegerField()
    n_late = models.BigIntegerField()  # too late for the watch; in the baseline all the same
    open_alert_id = models.UUIDField(null=True)  # noticed, and not yet worked out for good
    updated_at = models.DateTimeField(default=timezone.now)


class DriftKind(models.TextChoices):
    BEHAVIOUR = "behaviour", "Behaviour changed"
    INPUT = "input", "Inputs shifted"
    REPEATS = "repeated_requests", "Repeated requests"
    RUNAWAY = "runaway_session", "Runaway session"
    LENGTHS = "lengths", "Lengths changed"
    ODD_INPUTS = "odd_inputs", "Unusual inputs"  # written until lengths were watched


class AlertSeverity(models.TextChoices):
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"


class DriftAlert(TenantModel):
    """Something was noticed. Append-only: what more records teach is another row, which `supersedes` the first."""

    deployment = TenantForeignKey(Deployment, on_delete=models.PROTECT, related_name="+", db_index=False)
    supersedes_id = models.UUIDField(null=True)
    kind = models.CharField(max_length=20, choices=DriftKind.choices)
    segment = models.CharField(max_length=100, blank=True)
    channel = models.CharField(max_length=200)
    cause = models.TextField()
    p = models.FloatField(null=True)
    noticed_at = models.DateTimeField()  # occurred_at of the decision that tipped it
    onset_at = models.DateTimeField()
    onset_low_at = models.DateTimeField()
    onset_high_at = models.DateTimeField()
    ramp_end_at = models.DateTimeField(null=True)
    final = models.BooleanField()
    document = models.BinaryField()  # canonical JSON: channels, causes with reasons, words, examples, chart
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "deployment", "kind", "segment", "channel", "noticed_at", "final"),
                name="drift_alert_once",
            ),
            models.UniqueConstraint(
                fields=("tenant", "supersedes_id"),
                condition=models.Q(supersedes_id__isnull=False),
                name="drift_alert_superseded_once",
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "noticed_at", "id"), name="drift_alert_time"),
            models.Index(fields=("tenant", "deployment", "noticed_at"), name="drift_alert_deployment"),
        )


class DriftStanding(models.TextChoices):
    OPEN = "open", "Open"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    MUTED = "muted", "Muted"
    EXPECTED = "expected", "Expected change"


class DriftAlertState(TenantModel):
    """Where an alert stands, by whose decision. `id` is the (first) alert's; every step is a leaf in the ledger."""

    standing = models.CharField(max_length=12, choices=DriftStanding.choices, default=DriftStanding.OPEN)
    note = models.TextField(blank=True)
    changed_at = models.DateTimeField(default=timezone.now)
    changed_by = models.CharField(max_length=200, blank=True)
    muted_until = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(
                fields=("tenant", "muted_until"), condition=models.Q(standing="muted"), name="drift_state_muted"
            ),
        )
        constraints = (
            models.CheckConstraint(
                condition=models.Q(standing="muted", muted_until__isnull=False)
                | (~models.Q(standing="muted") & models.Q(muted_until__isnull=True)),
                name="drift_state_muted_until",
            ),
        )

    def standing_at(self, now: datetime) -> DriftStanding:
        """Where it stands at this moment: a mute that is over leaves it open."""
        if self.muted_until is not None and self.muted_until <= now:
            return DriftStanding.OPEN
        return DriftStanding(self.standing)
