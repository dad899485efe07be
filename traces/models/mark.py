"""What happened around the decisions, and where other tools show the same trace."""

from django.db import models
from django.utils import timezone

from tenants.models import TenantForeignKey, TenantModel


class MarkKind(models.TextChoices):
    DEPLOYMENT = "deployment", "Deployment"
    PROMPT = "prompt_release", "Prompt release"
    INCIDENT = "incident", "Incident"
    CONFIG = "config_change", "Configuration change"
    INFRASTRUCTURE = "infrastructure", "Infrastructure"


class Mark(TenantModel):
    """Something that happened beside the decisions, as a program told it. Append-only: what more is known is another.

    Empty `system`, `environment` and `instance` mean all of them. `fingerprint` is SHA-256 of what was sent.
    """

    source = TenantForeignKey("tenants.SourceSystem", on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=20, choices=MarkKind.choices)
    title = models.CharField(max_length=200)
    occurred_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    external_id = models.CharField(max_length=200, blank=True)
    system = models.CharField(max_length=200, blank=True)
    environment = models.CharField(max_length=100, blank=True)
    instance = models.CharField(max_length=200, blank=True)
    version = models.CharField(max_length=200, blank=True)
    url = models.CharField(max_length=500, blank=True)
    detail = models.TextField(blank=True)
    fingerprint = models.BinaryField(max_length=32)

    class Meta(TenantModel.Meta):
        verbose_name = "event"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "source", "external_id"),
                condition=~models.Q(external_id=""),
                name="mark_external_id_unique",
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None) | models.Q(ended_at__gte=models.F("occurred_at")),
                name="mark_ends_after_it_began",
            ),
        )
        indexes = (models.Index(fields=("tenant", "occurred_at", "id"), name="mark_time"),)

    def __str__(self) -> str:
        return self.title


class ApmLink(TenantModel):
    """Where another tool shows a trace: a name, and an address with places for ids and times (`traces.trees.apm`)."""

    name = models.CharField(max_length=60)
    kind = models.CharField(max_length=20)
    template = models.CharField(max_length=1000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = "link"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="apm_link_name_unique"),
            models.CheckConstraint(condition=models.Q(template__startswith="https://"), name="apm_link_https"),
        )

    def __str__(self) -> str:
        return self.name
