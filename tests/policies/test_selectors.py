"""Which step of which version waits for whom."""

from datetime import UTC, datetime, timedelta

from policies.lifecycle import APPROVAL_LASTS, Step
from policies.selectors import awaited_from
from policies.services import draft_version, submit_version
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.policies import a_document, approve, approvers, put_in_force
from tests.factories.tenants import Cast

NOW = datetime.now(UTC)


def awaited(actor: Actor, now: datetime = NOW) -> list[Step]:
    with tenant_atomic(actor.tenant_id):
        return [one.step for one in awaited_from(actor, now)]


def test_a_version_waits_for_its_author_then_for_each_approver_then_to_be_put_in_force(cast: Cast) -> None:
    author, (first, second) = cast.actors[Role.POLICY_AUTHOR], approvers(cast, 2)
    version = draft_version(by=author, source=a_document(risk="high"))
    assert (awaited(author), awaited(first)) == ([Step.SUBMIT], [])
    submit_version(by=author, version=version)
    assert (awaited(author), awaited(first), awaited(second)) == ([], [Step.APPROVE], [Step.APPROVE])
    approve(first, version)
    assert (awaited(first), awaited(second)) == ([], [Step.APPROVE])
    approve(second, version)
    assert awaited(first) == awaited(second) == [Step.ACTIVATE]
    assert awaited(first, NOW + APPROVAL_LASTS + timedelta(hours=1)) == []
    assert awaited(author) == awaited(cast.owner) == awaited(cast.auditor) == []


def test_what_is_in_force_waits_for_nobody_and_others_hear_nothing(cast: Cast, stranger: Cast) -> None:
    put_in_force(cast, a_document())
    draft_version(by=cast.actors[Role.POLICY_AUTHOR], source=a_document("another"))
    assert [awaited(actor) for actor in (*approvers(cast, 2), stranger.actors[Role.POLICY_AUTHOR])] == [[], [], []]
