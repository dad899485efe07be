"""Where a tenant is told of events, and the bounded log of what was sent there."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from tenants.models.base import TenantForeignKey, TenantModel


class EndpointKind(models.TextChoices):
    GENERIC = "generic", "Program (Standard Webhooks)"
    SLACK = "slack", "Chat (Slack-compatible)"
    EMAIL = "email", "E-mail"


class WebhookEndpoint(TenantModel):
    """Somebody to be told. The address is sealed like the secret: a chat's address is a secret of its own."""

    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=EndpointKind.choices)
    address = models.BinaryField(editable=False)  # sealed: a URL, or an e-mail address
    shown = models.CharField(max_length=300)  # of the address, what may be read by whoever manages endpoints
    secret = models.BinaryField(editable=False)  # sealed: `whsec_…`; empty for what is not signed
    previous_secret = models.BinaryField(editable=False)  # sealed: signs too until `previous_until`
    previous_until = models.DateTimeField(null=True, editable=False)
    event_types = ArrayField(models.CharField(max_length=60))  # empty: all
    is_enabled = models.BooleanField(default=True)
    failing_since = models.DateTimeField(null=True, editable=False)  # the first of the failures in a row
    disabled_at = models.DateTimeField(null=True, editable=False)
    disabled_because = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="webhook_endpoint_name_unique"),
            models.CheckConstraint(
                condition=models.Q(is_enabled=True, disabled_at__isnull=True)
                | models.Q(is_enabled=False, disabled_at__isnull=False),
                name="webhook_endpoint_disabled_when",
            ),
        )

    def __str__(self) -> str:
        return self.name


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DELIVERED = "delivered", "Delivered"
    GIVEN_UP = "given_up", "Given up"


# Removed together in the right order, each in one statement (`webhooks.retention`): the database refuses an orphan.
class WebhookDelivery(TenantModel):
    """One event on its way to one endpoint. Kept for a while, then forgotten (`webhooks.retention`)."""

    endpoint = TenantForeignKey(WebhookEndpoint, on_delete=models.DO_NOTHING, related_name="deliveries", db_index=False)
    event_id = models.UUIDField()  # in `webhook-id`: the same whenever the event is sent again
    event_type = models.CharField(max_length=60)
    payload = models.BinaryField()  # canonical JSON of the event, the same for every kind of endpoint
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    # When it is tried next. A sender that takes it moves this on, so it is a lease too.
    due_at = models.DateTimeField(default=timezone.now)
    n_attempts = models.SmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    settled_at = models.DateTimeField(null=True, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "endpoint", "event_id"), name="webhook_delivery_once"),
            models.CheckConstraint(
                condition=models.Q(state="waiting", settled_at__isnull=True)
                | (~models.Q(state="waiting") & models.Q(settled_at__isnull=False)),
                name="webhook_delivery_settled_when",
            ),
        )
        indexes = (
            models.Index(
                fields=("tenant", "endpoint", "due_at"), condition=models.Q(state="waiting"), name="webhook_due"
            ),
            models.Index(fields=("tenant", "endpoint", "-id"), name="webhook_delivery_newest"),
        )


class WebhookAttempt(TenantModel):
    """One try: what was answered, or why nobody did. No role may change it; it goes with its delivery."""

    delivery = TenantForeignKey(WebhookDelivery, on_delete=models.DO_NOTHING, related_name="attempts", db_index=False)
    number = models.SmallIntegerField()
    at = models.DateTimeField()
    took_ms = models.IntegerField()
    status = models.SmallIntegerField(null=True)  # of HTTP; none where nobody answered
    detail = models.TextField(blank=True)  # the head of the answer, or what went wrong

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(fields=("tenant", "delivery", "number"), name="webhook_attempt_number_once"),
        )
