"""Data keys: a tenant key wrapped by the instance's master key, a subject key wrapped by the tenant key.

Destroying a subject's wrapped key makes everything encrypted under it unreadable here; a backup made before holds the
wrapped key too, which is why erasures are replayed after a restore (`docs/erasure.md`).
"""

from django.db import models
from django.utils import timezone

from tenants.models.base import TenantModel


class TenantKey(TenantModel):
    """The tenant's AES-256 key, wrapped (AES key wrap, RFC 3394) by the master key."""

    wrapped = models.BinaryField(max_length=40, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)


class SubjectKey(TenantModel):
    """One person's or thing's AES-256 key, found by a keyed hash of its name, never by the name."""

    subject_hmac = models.BinaryField(max_length=32, editable=False)
    wrapped = models.BinaryField(max_length=40, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        constraints = (models.UniqueConstraint(fields=("tenant", "subject_hmac"), name="subject_key_unique"),)
