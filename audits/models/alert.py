"""Cases that alerts on behaviour led to: the link, and the rule that opens one by itself."""

from django.db import models
from django.utils import timezone

from audits.models.case import Case, person
from tenants.models import TenantForeignKey, TenantModel


class AlertCase(TenantModel):
    """An alert has its case: one, whoever opened it. Append-only."""

    alert_id = models.UUIDField()  # of `traces.DriftAlert`: the one it became known by
    case = TenantForeignKey(Case, on_delete=models.PROTECT, related_name="+", db_index=False)
    by_rule = models.BooleanField()
    opened_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "alert_id"), name="alert_case_once"),)


class AlertRule(TenantModel):
    """The tenant's rule: alerts of `least` or more, from `since` on, open a case that `lead` leads. No row: none do."""

    least = models.CharField(max_length=10, blank=True)  # a severity of alerts; empty: switched off
    lead = person(null=True)
    since = models.DateTimeField(default=timezone.now)  # when it was set: what was noticed before opens nothing
    set_by = models.CharField(max_length=200)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant",), name="alert_rule_one_a_tenant"),
            models.CheckConstraint(
                condition=models.Q(least="") | models.Q(lead__isnull=False), name="alert_rule_has_lead"
            ),
        )
