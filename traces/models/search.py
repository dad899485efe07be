"""Finding decisions by their words without keeping the words, and the filters that people come back to."""

from django.db import models
from django.utils import timezone

from tenants.models import TenantModel
from tenants.models.base import TenantRow


class SearchToken(TenantRow):
    """A word of a decision's content, as a keyed hash (`traces.search.words`). Goes with the content: by trigger.

    The key is in the order of the question: tenant, word, then decisions by time of receipt.
    """

    pk = models.CompositePrimaryKey("tenant_id", "token", "id")
    token = models.BigIntegerField()
    id = models.UUIDField()  # a decision's

    class Meta(TenantRow.Meta):
        indexes = (models.Index(fields=("tenant", "id"), name="search_token_decision"),)


class SearchQueue(TenantRow):
    """Content whose words are not in the index yet; leaves in the transaction that puts them there."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    id = models.UUIDField()  # a decision's, or that of content that came apart from its span


class SavedView(TenantModel):
    """A filter of the decision list that somebody comes back to, alone or with everybody of the organisation."""

    owner = models.ForeignKey("tenants.User", on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=2000)  # URL parameters, without the question mark
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = "view"
        constraints = (models.UniqueConstraint(fields=("tenant", "owner", "name"), name="saved_view_name_unique"),)

    def __str__(self) -> str:
        return self.name
