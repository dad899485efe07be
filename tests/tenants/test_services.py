"""Tenants, members and keys, through the services."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from tenants.authentication import KeyRefused, authenticate
from tenants.context import TenantRequired, tenant_atomic
from tenants.models import LedgerEvent, LedgerQueue, Membership, Scope, SourceSystem
from tenants.roles import Role
from tenants.services import add_member, change_roles, create_key, remove_member, revoke_key, rotate_key
from tests.factories.tenants import Cast, UserFactory


def test_every_act_leaves_an_event_and_a_leaf(cast: Cast) -> None:
    with tenant_atomic(cast.tenant.pk):
        events = LedgerEvent.objects.count()
        assert events == LedgerQueue.objects.count()
        assert events == 1 + len(Role.values) + 1 + len(Scope.values)  # the tenant, its people, a source, a key a scope


def test_without_a_tenant_a_query_raises_instead_of_answering(cast: Cast) -> None:
    with pytest.raises(TenantRequired, match="No tenant in context"):
        SourceSystem.objects.count()


def test_a_key_opens_its_own_tenant_only(cast: Cast, stranger: Cast) -> None:
    actor = authenticate({"Authorization": f"Bearer {cast.keys['read'].secret}"})
    assert actor.tenant_id == cast.tenant.pk
    forged = cast.keys["read"].secret.rsplit("_", 1)[0] + "_" + stranger.keys["read"].secret.rsplit("_", 1)[1]
    with pytest.raises(KeyRefused, match="not known"):
        authenticate({"Authorization": f"Bearer {forged}"})


def test_rotation_overlaps_and_revocation_ends(cast: Cast) -> None:
    old = cast.keys["read"]
    new = rotate_key(by=cast.owner, key=old.row)
    for secret in (old.secret, new.secret):
        assert authenticate({"X-Api-Key": secret}).tenant_id == cast.tenant.pk
    revoke_key(by=cast.owner, key=cast.keys["manage"].row)
    with pytest.raises(KeyRefused, match="revoked"):
        authenticate({"X-Api-Key": cast.keys["manage"].secret})


def test_an_ingest_key_has_no_other_scope(cast: Cast) -> None:
    with pytest.raises(ValidationError, match="own key"):
        create_key(by=cast.owner, name="both", scopes=["ingest", "read"], source=cast.source)


def test_conflicting_roles_are_refused(cast: Cast) -> None:
    with pytest.raises(ValidationError, match="approve their own work"):
        add_member(by=cast.owner, user=UserFactory.create(), roles=[Role.POLICY_AUTHOR, Role.POLICY_APPROVER])


def test_an_administrator_neither_makes_owners_nor_lifts_themselves(cast: Cast) -> None:
    admin = cast.actors[Role.ADMIN]
    with pytest.raises(ValidationError, match="Only an owner"):
        add_member(by=admin, user=UserFactory.create(), roles=[Role.OWNER])
    with tenant_atomic(cast.tenant.pk):
        own = Membership.objects.get(user=cast.people[Role.ADMIN])
    with pytest.raises(ValidationError, match="nobody changes their own"):
        change_roles(by=admin, membership=own, roles=[Role.AUDITOR])


def test_the_last_owner_stays(cast: Cast) -> None:
    with tenant_atomic(cast.tenant.pk):
        seat = Membership.objects.get(user=cast.people[Role.OWNER])
    with pytest.raises(ValidationError, match="last owner"):
        remove_member(by=cast.owner, membership=seat)
    with pytest.raises(ValidationError, match="last owner"):
        change_roles(by=cast.owner, membership=seat, roles=[Role.VIEWER])


def test_a_viewer_manages_nobody(cast: Cast) -> None:
    with pytest.raises(PermissionDenied, match=r"member\.manage"):
        add_member(by=cast.actors[Role.VIEWER], user=UserFactory.create(), roles=[Role.VIEWER])
