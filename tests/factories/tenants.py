"""Tenants with everybody in them, made through the product's own services."""

import uuid
from dataclasses import dataclass

from factory.declarations import LazyFunction, Sequence
from factory.django import DjangoModelFactory, Password

from tenants.access import Seat, actor_for
from tenants.actors import Actor
from tenants.models import Membership, SourceSystem, Tenant, User
from tenants.roles import Role
from tenants.services import NewKey, add_member, create_key, create_source, create_tenant

PASSWORD = "correct horse battery staple"


class UserFactory(DjangoModelFactory[User]):
    """A person with `PASSWORD`."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    email = LazyFunction(lambda: f"p-{uuid.uuid4().hex[:12]}@example.org")
    name = Sequence(lambda n: f"Person {n}")
    password = Password(PASSWORD)


@dataclass(frozen=True)
class Cast:
    """One tenant's people and programs. `actors` and `people` are by role, `keys` by scope."""

    tenant: Tenant
    people: dict[str, User]
    actors: dict[str, Actor]
    source: SourceSystem
    keys: dict[str, NewKey]

    @property
    def owner(self) -> Actor:
        return self.actors[Role.OWNER]

    @property
    def auditor(self) -> Actor:
        return self.actors[Role.AUDITOR]


def make_cast(slug: str | None = None) -> Cast:
    """A tenant with one person per role, a source, and a key of each scope."""
    slug = slug or f"t-{uuid.uuid4().hex[:12]}"
    people: dict[str, User] = {role: UserFactory.create() for role in Role.values}
    tenant = create_tenant(slug=slug, name=f"Tenant {slug}", owner=people[Role.OWNER])
    actors = {role: actor_for(person, Seat(tenant.pk, slug, tenant.name, (role,))) for role, person in people.items()}
    owner = actors[Role.OWNER]
    for role, person in people.items():
        if role != Role.OWNER:
            add_member(by=owner, user=person, roles=[role])
    source = create_source(by=owner, name="loan-app")
    keys = {
        "ingest": create_key(by=owner, name="ingest", scopes=["ingest"], source=source),
        "read": create_key(by=owner, name="read", scopes=["read"]),
        "manage": create_key(by=owner, name="manage", scopes=["manage"]),
        "directory": create_key(by=owner, name="directory", scopes=["directory"]),
    }
    return Cast(tenant, people, actors, source, keys)


__all__ = ["PASSWORD", "Cast", "Membership", "UserFactory", "make_cast"]
