"""What decisions cost: prices, restatements, rollups, budgets. Money is whole micro-units of an ISO 4217 currency."""

from django.db import models
from django.utils import timezone

from tenants.ids import uuid7_now
from tenants.models import TenantForeignKey, TenantModel
from tenants.models.base import TenantRow
from traces.models.decision import Deployment, ModelVersion


class ListPrice(models.Model):
    """A published price of a model, the same for every tenant. Append-only: an edition is a whole list, in its order,
    and the last one counts.

    `document` is canonical JSON (`traces.costs.pricing`), `sha256` its digest. When it was valid is in the document,
    when we learned of it is `recorded_at`: both times are kept, so that any past answer can be had again.
    """

    id = models.UUIDField(primary_key=True, default=uuid7_now, editable=False)
    edition = models.BigIntegerField()
    position = models.BigIntegerField()
    provider = models.CharField(max_length=100)
    model = models.CharField(max_length=200)
    sha256 = models.BinaryField(max_length=32)
    document = models.BinaryField()
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("edition", "position"), name="list_price_place"),)

    def __str__(self) -> str:
        return f"{self.provider} {self.model}"


class ModelPrice(TenantModel):
    """A price that the tenant agreed on: it goes before the list's. Append-only; `edition` counts 1, 2, 3 … in the
    order of commits, and among those valid at a time the last one counts."""

    edition = models.BigIntegerField()
    provider = models.CharField(max_length=100, blank=True)
    model = models.CharField(max_length=200)
    sha256 = models.BinaryField(max_length=32)
    document = models.BinaryField()
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)
    recorded_by = models.CharField(max_length=200)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "edition"), name="model_price_edition"),)

    def __str__(self) -> str:
        return f"{self.provider} {self.model}".strip()


class Restatement(TenantModel):
    """A run that applied today's prices to decisions of the past. Append-only; `id` is its ledger event's."""

    since = models.DateTimeField()
    until = models.DateTimeField()
    reason = models.TextField()
    requested_by = models.CharField(max_length=200)
    requested_at = models.DateTimeField(default=timezone.now, editable=False)


class RestatedCost(TenantModel):
    """One decision whose number changed, with both. The decision itself keeps what was recorded. Append-only."""

    restatement = TenantForeignKey(Restatement, on_delete=models.PROTECT, related_name="+")
    decision_id = models.UUIDField()
    old_micros = models.BigIntegerField(null=True)
    old_currency = models.CharField(max_length=3, blank=True)
    old_price_sha256 = models.BinaryField(max_length=32, null=True)
    new_micros = models.BigIntegerField(null=True)
    new_currency = models.CharField(max_length=3, blank=True)
    new_price_sha256 = models.BinaryField(max_length=32, null=True)

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=("tenant", "decision_id", "id"), name="restated_cost_decision"),)


class RollupQueue(TenantRow):
    """Rows that the rollups have not counted yet; one leaves in the transaction that counts it (`costs.rollups`)."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    id = models.UUIDField()  # a decision's or, where `restated`, a RestatedCost's
    restated = models.BooleanField()


class Grain(models.IntegerChoices):
    MINUTE = 1, "Minute"
    HOUR = 2, "Hour"
    DAY = 3, "Day"


class Measures(TenantRow):
    """What a rollup counts."""

    grain = models.SmallIntegerField(choices=Grain.choices)
    bucket = models.DateTimeField()  # its start
    deployment = TenantForeignKey(Deployment, on_delete=models.PROTECT, related_name="+", db_index=False)
    currency = models.CharField(max_length=3)  # empty: nothing in it has a price
    n = models.BigIntegerField()
    n_unpriced = models.BigIntegerField()  # a model answered, and no price is known for it
    n_cached = models.BigIntegerField()  # the application's own cache answered
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cache_read_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    cost_micros = models.BigIntegerField()  # as recorded
    restated_micros = models.BigIntegerField()  # what restatements added or took away since
    saved_micros = models.BigIntegerField()  # by caches, the provider's and the application's

    class Meta(TenantRow.Meta):
        abstract = True


class UsageRollup(Measures):
    """Usage by minute, hour and day: deployment × model version × source × agent × outcome × currency."""

    pk = models.CompositePrimaryKey(
        "tenant_id", "grain", "bucket", "deployment", "model_version", "source", "agent", "outcome", "currency"
    )
    model_version = TenantForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    source = TenantForeignKey("tenants.SourceSystem", on_delete=models.PROTECT, related_name="+", db_index=False)
    agent = models.TextField()
    outcome = models.TextField()


class SubjectKind(models.IntegerChoices):
    USER = 1, "User"
    SESSION = 2, "Session"


DEAREST_FIRST = (models.F("cost_micros") + models.F("restated_micros")).desc()


class SubjectRollup(Measures):
    """Usage by minute, hour and day of each user and each session."""

    pk = models.CompositePrimaryKey("tenant_id", "kind", "grain", "bucket", "value", "deployment", "currency")
    kind = models.SmallIntegerField(choices=SubjectKind.choices)
    value = models.TextField()

    class Meta(Measures.Meta):
        indexes = (
            models.Index(fields=("tenant", "kind", "value", "grain", "bucket"), name="subject_rollup_value"),
            # The dearest of an hour or a day, everywhere and in one deployment: `costs.dearest`. Nothing ranks minutes.
            models.Index(
                "tenant",
                "kind",
                "grain",
                "currency",
                "bucket",
                DEAREST_FIRST,
                name="subject_rollup_dearest",
                condition=models.Q(grain__gt=Grain.MINUTE),
            ),
            models.Index(
                "tenant",
                "kind",
                "grain",
                "deployment",
                "currency",
                "bucket",
                DEAREST_FIRST,
                name="subject_rollup_dearest_in",
                condition=models.Q(grain__gt=Grain.MINUTE),
            ),
        )


class BudgetScope(models.TextChoices):
    TENANT = "tenant", "Everything"
    SYSTEM = "system", "One system"
    USER = "user", "One user"
    KEY = "key", "One source"


class Period(models.TextChoices):
    DAY = "day", "Each day"
    MONTH = "month", "Each month"
    ROLLING = "rolling", "The last days"


class OnExceed(models.TextChoices):
    NONE = "none", "Only tell"
    BLOCK = "block", "Block"
    ROUTE = "route", "Route to another model"


class Budget(TenantModel):
    """How much may be spent, by whom, in which period. Changed by `costs.budgeting` only."""

    name = models.CharField(max_length=120)
    scope = models.CharField(max_length=10, choices=BudgetScope.choices, default=BudgetScope.TENANT)
    subject = models.CharField(max_length=200, blank=True)  # of the scope: a system, a user, a source's name
    period = models.CharField(max_length=10, choices=Period.choices, default=Period.MONTH)
    days = models.SmallIntegerField(default=30)  # of a rolling period
    limit_micros = models.BigIntegerField()
    currency = models.CharField(max_length=3, default="USD")
    thresholds = models.JSONField(default=list)  # per cent of the limit, ascending
    on_exceed = models.CharField(max_length=10, choices=OnExceed.choices, default=OnExceed.NONE)
    route_to = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "name"), condition=models.Q(retired_at=None), name="budget_name_unique"
            ),
            models.CheckConstraint(condition=models.Q(limit_micros__gt=0), name="budget_limit_positive"),
            models.CheckConstraint(condition=models.Q(days__gte=1, days__lte=366), name="budget_days_sane"),
            models.CheckConstraint(
                condition=models.Q(scope=BudgetScope.TENANT, subject="")
                | (~models.Q(scope=BudgetScope.TENANT) & ~models.Q(subject="")),
                name="budget_subject_of_scope",
            ),
            models.CheckConstraint(
                condition=models.Q(on_exceed=OnExceed.ROUTE) ^ models.Q(route_to=""), name="budget_route_somewhere"
            ),
        )

    def __str__(self) -> str:
        return self.name


class AlertKind(models.TextChoices):
    SPENT = "spent", "Spent"
    FORECAST = "forecast", "Forecast"


class BudgetAlert(TenantModel):
    """A threshold was crossed, or will be at this pace: once a period. Append-only."""

    budget = TenantForeignKey(Budget, on_delete=models.PROTECT, related_name="alerts")
    period_start = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=AlertKind.choices)
    threshold = models.SmallIntegerField()
    spent_micros = models.BigIntegerField()
    forecast_micros = models.BigIntegerField()
    limit_micros = models.BigIntegerField()
    raised_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "budget", "period_start", "kind", "threshold"), name="budget_alert_once"
            ),
        )


class AnomalyKind(models.TextChoices):
    RUNAWAY_SESSION = "runaway_session", "Runaway session"
    REPEATED_REQUESTS = "repeated_requests", "Repeated requests"
    LENGTHS = "lengths", "Lengths changed"
    TASK_COST = "task_cost", "A task costs more"


class CostAnomaly(TenantModel):
    """Money that ran away: what, where, since when it is known, how much was lost, and why. Append-only: once a day for
    each, and another row when it has grown; the one with the most decisions is the last word."""

    kind = models.CharField(max_length=20, choices=AnomalyKind.choices)
    deployment = TenantForeignKey(Deployment, on_delete=models.PROTECT, related_name="+", db_index=False)
    who = models.TextField(blank=True)  # a session or a user; empty: the task itself
    who_kind = models.SmallIntegerField(choices=SubjectKind.choices, null=True)  # none, and somebody: a session
    day = models.DateTimeField()
    noticed_at = models.DateTimeField()
    n = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    cost_micros = models.BigIntegerField()
    lost_micros = models.BigIntegerField()
    cause = models.TextField()

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "day", "kind", "deployment", "who", "n"), name="cost_anomaly_once"
            ),
        )
