"""Membership in one case, for those whose role does not open it: an external auditor, a second signer."""

from django.db import models
from guardian.managers import UserObjectPermissionManager
from guardian.models import UserObjectPermissionBase

from audits.models.case import Case
from tenants.models import TenantForeignKey, TenantManager, TenantModel


class CaseGrants(UserObjectPermissionManager, TenantManager["CaseUserObjectPermission"]):
    """guardian's manager, narrowed to the tenant."""


class CaseUserObjectPermission(UserObjectPermissionBase, TenantModel):
    """A person's permission on one case (`view_case`, `work_case`, …) until `expires_at`."""

    content_object = TenantForeignKey(Case, on_delete=models.PROTECT)
    expires_at = models.DateTimeField()

    objects = CaseGrants()  # type: ignore[misc]

    class Meta(TenantModel.Meta):
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "content_object", "user", "permission"), name="case_grant_unique"
            ),
        )
