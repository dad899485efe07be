"""What the bell tells members of: the newest events, kept for a while, and how far each member has read them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from tenants.models.base import TenantModel


class Notification(TenantModel):
    """One event, for everybody with `permission`, or for `people` alone. Forgotten after a while (`notices.feed`)."""

    event_id = models.UUIDField()
    event_type = models.CharField(max_length=60)
    title = models.CharField(max_length=300)
    text = models.TextField(blank=True)
    page = ArrayField(models.CharField(max_length=200))  # the name of its page and what its address takes; may be empty
    permission = models.CharField(max_length=40)
    people = ArrayField(models.UUIDField())
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "event_id"), name="notification_once"),)


class NotificationMark(TenantModel):
    """How far a member has read: up to and with `read_to`, a notification's id."""

    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, related_name="+")
    read_to = models.UUIDField()

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "user"), name="notification_mark_unique"),)
