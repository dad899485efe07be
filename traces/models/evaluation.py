"""The record of having asked: what the policies answered before the application acted."""

from django.db import models

from tenants.models import TenantForeignKey, TenantModel
from traces.models.decision import Deployment, PolicyMatch


class Evaluation(TenantModel):
    """An answer to "may I?". Append-only, partitioned by the month inside its UUIDv7 id: a whole month goes at once.

    It holds nothing personal. `body` (canonical JSON, committed to with `salt`) says what was answered and why; what
    was asked is only committed to in the leaf, with a salt that the caller alone was given (`traces.evaluating`).
    """

    deployment = TenantForeignKey(Deployment, on_delete=models.PROTECT, related_name="+", db_index=False)
    source = TenantForeignKey("tenants.SourceSystem", on_delete=models.PROTECT, related_name="+", db_index=False)
    trace_id = models.UUIDField(null=True)
    policy_set = models.BinaryField(max_length=32)
    policy_match = models.CharField(max_length=8, choices=PolicyMatch.choices)
    verdict = models.TextField()
    action = models.TextField()
    shadow_action = models.TextField()  # empty: nothing ran in shadow mode
    body = models.BinaryField()
    salt = models.BinaryField(max_length=32)
    leaf_hash = models.BinaryField(max_length=32)

    class Meta(TenantModel.Meta):
        indexes = (
            models.Index(
                fields=("tenant", "trace_id"), name="evaluation_trace", condition=models.Q(trace_id__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return str(self.id)
