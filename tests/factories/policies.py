"""Policies taken through the product's own lifecycle, each step by somebody who may take it."""

from datetime import datetime

from policies.activations import activate_version
from policies.approvals import approve_version, statement_for
from policies.models import Mode, PolicyVersion
from policies.services import draft_version, submit_version
from tenants.access import Seat, actor_for
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.models import Membership
from tenants.roles import Role
from tenants.services import add_member
from tests.factories.tenants import PASSWORD, Cast, UserFactory

DOCUMENT = """
policy: {slug}
title: Answers stay under {limit} characters
risk_class: {risk}
on_error: fail_closed
rules:
  - id: too-long
    severity: high
    message: The answer is too long.
    when: output.length > {limit}
    action: block
    controls: ["eu-ai-act:12(1)"]
"""


def a_document(slug: str = "short-answers", *, risk: str = "low", limit: int = 100) -> str:
    """A document of one rule."""
    return DOCUMENT.format(slug=slug, risk=risk, limit=limit)


def new_approver(cast: Cast, role: str = Role.POLICY_APPROVER) -> Actor:
    """One more person of that role."""
    user = UserFactory.create()
    add_member(by=cast.owner, user=user, roles=[role])
    return actor_for(user, Seat(cast.tenant.pk, cast.tenant.slug, cast.tenant.name, (role,)))


def approvers(cast: Cast, count: int) -> list[Actor]:
    """At least that many approvers, the cast's own first."""
    with tenant_atomic(cast.tenant.pk):
        known = Membership.objects.filter(roles__contains=[Role.POLICY_APPROVER]).select_related("user")
        role = (Role.POLICY_APPROVER,)
        seat = Seat(cast.tenant.pk, cast.tenant.slug, cast.tenant.name, role)
        found = [actor_for(member.user, seat) for member in known.order_by("id")]
    return [*found, *(new_approver(cast) for _ in range(count - len(found)))][:count]


def submitted(cast: Cast, source: str, *, people: int = 2) -> PolicyVersion:
    """A version that waits for `people` approvers."""
    approvers(cast, people)
    author = cast.actors[Role.POLICY_AUTHOR]
    version = draft_version(by=author, source=source)
    submit_version(by=author, version=version)
    return version


def approve(by: Actor, version: PolicyVersion) -> None:
    """Read and approve."""
    token = statement_for(by=by, version=version).token
    approve_version(by=by, version=version, token=token, password=PASSWORD)


def approved(cast: Cast, source: str) -> PolicyVersion:
    """A version with its quorum."""
    version = submitted(cast, source)
    for by in approvers(cast, 2 if version.risk_class == "high" else 1):
        approve(by, version)
    return version


def put_in_force(cast: Cast, source: str, *, mode: str = Mode.ENFORCE, starts: datetime | None = None) -> PolicyVersion:
    """A version drafted, submitted, approved and activated."""
    version = approved(cast, source)
    activate_version(by=approvers(cast, 1)[0], version=version, mode=mode, starts=starts)
    return version
