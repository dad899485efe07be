"""Sign-ins that were refused, until a worker has told the organisations of the person."""

from django.db import models
from django.utils import timezone


class RefusedSignIn(models.Model):
    """A row as a queue. One is written for unknown people too: how long a refusal takes tells nothing of who exists."""

    user = models.ForeignKey("tenants.User", on_delete=models.CASCADE, null=True, related_name="+")
    method = models.CharField(max_length=32)
    at = models.DateTimeField(default=timezone.now, editable=False)
