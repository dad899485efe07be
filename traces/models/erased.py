"""What content is gone, and why: the record that stands where it was."""

from django.db import models
from django.utils import timezone

from tenants.models import TenantModel


class ErasedContent(TenantModel):
    """Content that was removed, a decision's or what came apart from its span; `id` is its. Append-only.

    The database removes no payload without this row, and takes the row only for an erasure or a purge that runs
    (`under_id`, in `audits`). `reason` is what pages, bundles and the verifier say in the content's place.
    """

    under_id = models.UUIDField()
    reason = models.CharField(max_length=120)
    erased_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        indexes = (models.Index(fields=("tenant", "under_id", "id"), name="erased_content_under"),)

    def __str__(self) -> str:
        return self.reason
