"""Every (state, step, role) triple against the table, through the services; and four eyes."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from policies import activations, approvals, services
from policies.lifecycle import PERMISSION, STEPS, Run, Stage, State, Step, may, state_of
from policies.models import (
    Mode,
    PolicyActivation,
    PolicyApproval,
    PolicyFollowUp,
    PolicyReview,
    PolicyVersion,
)
from policies.services import NotPossible, current_state, draft_version
from tenants.actors import Actor, Kind
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import PERMISSIONS, Role
from tests.factories.policies import (
    a_document,
    approve,
    approved,
    approvers,
    put_in_force,
    submitted,
)
from tests.factories.tenants import PASSWORD, Cast

SOON = timedelta(hours=1)


def review_of(version: PolicyVersion) -> PolicyReview:
    with tenant_atomic(version.tenant_id):
        return PolicyReview.objects.select_related("version", "policy").get(version=version)


def state_now(version: PolicyVersion) -> State:
    with tenant_atomic(version.tenant_id):
        return current_state(review_of(version))


def approver(cast: Cast) -> Actor:
    return cast.actors[Role.POLICY_APPROVER]


def author(cast: Cast) -> Actor:
    return cast.actors[Role.POLICY_AUTHOR]


def a_draft(cast: Cast) -> PolicyVersion:
    approvers(cast, 2)
    return draft_version(by=author(cast), source=a_document())


def a_scheduled(cast: Cast) -> PolicyVersion:
    return put_in_force(cast, a_document(), starts=datetime.now(UTC) + SOON)


def a_suspended(cast: Cast) -> PolicyVersion:
    version = put_in_force(cast, a_document())
    activations.suspend_version(by=approver(cast), version=version, reason="it blocks everything")
    return version


def a_retired(cast: Cast) -> PolicyVersion:
    version = put_in_force(cast, a_document())
    activations.retire_version(by=approver(cast), version=version)
    return version


def a_superseded(cast: Cast) -> PolicyVersion:
    version = put_in_force(cast, a_document())
    put_in_force(cast, a_document(limit=200))
    return version


def a_rejected(cast: Cast) -> PolicyVersion:
    version = submitted(cast, a_document())
    token = approvals.statement_for(by=approver(cast), version=version).token
    approvals.reject_version(by=approver(cast), version=version, token=token, password=PASSWORD, comment="too broad")
    return version


def a_withdrawn(cast: Cast) -> PolicyVersion:
    version = a_draft(cast)
    services.withdraw_version(by=author(cast), version=version)
    return version


def an_expired(cast: Cast) -> PolicyVersion:
    version = approved(cast, a_document())
    with tenant_atomic(cast.tenant.pk):
        PolicyReview.objects.filter(version=version).update(approved_until=datetime.now(UTC))
    return version


MAKE: dict[State, Callable[[Cast], PolicyVersion]] = {
    State.DRAFT: a_draft,
    State.IN_REVIEW: lambda cast: submitted(cast, a_document()),
    State.APPROVED: lambda cast: approved(cast, a_document()),
    State.SCHEDULED: a_scheduled,
    State.ACTIVE: lambda cast: put_in_force(cast, a_document()),
    State.SUSPENDED: a_suspended,
    State.SUPERSEDED: a_superseded,
    State.RETIRED: a_retired,
    State.REJECTED: a_rejected,
    State.WITHDRAWN: a_withdrawn,
    State.EXPIRED: an_expired,
}


def take(step: Step, by: Actor, version: PolicyVersion) -> Any:
    if step in (Step.APPROVE, Step.REJECT):
        token = approvals.statement_for(by=by, version=version).token
        decide = approvals.approve_version if step == Step.APPROVE else approvals.reject_version
        return decide(by=by, version=version, token=token, password=PASSWORD, comment="seen")
    steps: dict[Step, Callable[[], Any]] = {
        Step.EDIT: lambda: draft_version(by=by, source=a_document(limit=77)),
        Step.SUBMIT: lambda: services.submit_version(by=by, version=version),
        Step.WITHDRAW: lambda: services.withdraw_version(by=by, version=version),
        Step.ACTIVATE: lambda: activations.activate_version(by=by, version=version),
        Step.CANCEL: lambda: activations.cancel_activation(by=by, version=version),
        Step.SUSPEND: lambda: activations.suspend_version(by=by, version=version, reason="seen"),
        Step.RESUME: lambda: activations.resume_version(by=by, version=version, reason="seen"),
        Step.RETIRE: lambda: activations.retire_version(by=by, version=version),
        Step.BREAK_GLASS: lambda: activations.break_glass(by=by, version=version, reason="an emergency"),
    }
    return steps[step]()


@pytest.mark.parametrize("state", list(State))
def test_only_the_listed_steps_succeed_and_only_for_their_roles(cast: Cast, state: State) -> None:
    version = MAKE[state](cast)
    assert state_now(version) == state
    refusals = [
        (step, role) for step in Step for role in Role.values if not may(state, step, cast.actors[role].permissions)
    ]
    for step, role in refusals:
        wanted = PermissionDenied if PERMISSION[step] not in cast.actors[role].permissions else NotPossible
        with pytest.raises(wanted):
            take(step, cast.actors[role], version)
    assert state_now(version) == state


CASES = [
    (state, step, role)
    for state in State
    for step in sorted(STEPS[state])
    for role in Role.values
    if may(state, step, PERMISSIONS[role])
]


@pytest.mark.parametrize(("state", "step", "role"), CASES)
def test_each_listed_step_can_be_taken_by_each_role_that_may(cast: Cast, state: State, step: Step, role: str) -> None:
    version = MAKE[state](cast)
    by = cast.actors[role]
    with tenant_atomic(cast.tenant.pk):
        before = LedgerEvent.objects.count()
    take(step, by, version)
    with tenant_atomic(cast.tenant.pk):
        assert LedgerEvent.objects.count() > before


def test_state_follows_the_clock_without_any_job() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    run = Run(now, now + SOON, State.RETIRED)
    assert state_of(Stage.RELEASED, [run], None, now - SOON) == State.SCHEDULED
    assert state_of(Stage.RELEASED, [run], None, now) == State.ACTIVE
    assert state_of(Stage.RELEASED, [run], None, now + SOON) == State.RETIRED
    assert state_of(Stage.APPROVED, [], now, now - SOON) == State.APPROVED
    assert state_of(Stage.APPROVED, [], now, now) == State.EXPIRED


def with_all_rights(actor: Actor) -> Actor:
    return replace(actor, permissions=actor.permissions | set(PERMISSION.values()))


def test_nobody_approves_or_activates_their_own_work(cast: Cast) -> None:
    both = with_all_rights(author(cast))
    version = submitted(cast, a_document())
    with pytest.raises(NotPossible, match="somebody else"):
        approvals.statement_for(by=both, version=version)
    token = approvals.statement_for(by=approver(cast), version=version).token
    with pytest.raises(NotPossible, match="somebody else"):
        approvals.approve_version(by=both, version=version, token=token, password=PASSWORD)
    approve(approver(cast), version)
    for step in (Step.ACTIVATE,):
        with pytest.raises(NotPossible, match="somebody else"):
            take(step, both, version)


def test_an_earlier_editor_and_a_key_of_theirs_count_as_authors(cast: Cast) -> None:
    approvers(cast, 2)
    editor = with_all_rights(approver(cast))
    draft_version(by=editor, source=a_document(limit=1))
    version = draft_version(by=author(cast), source=a_document(limit=2))
    services.submit_version(by=author(cast), version=version)
    with pytest.raises(NotPossible, match="somebody else"):
        approvals.statement_for(by=editor, version=version)
    key = Actor(Kind.KEY, cast.tenant.pk, "manage", frozenset(PERMISSION.values()), key_id=cast.keys["manage"].row.pk)
    with pytest.raises(PermissionDenied, match="person"):
        approvals.approve_version(by=key, version=version, token="", password=PASSWORD)
    by_key = draft_version(by=key, source=a_document(limit=3))
    assert by_key.author_id == cast.people[Role.OWNER].pk


def test_an_edit_voids_what_was_approved(cast: Cast) -> None:
    version = approved(cast, a_document())
    token_of = submitted(cast, a_document("another"))
    edited = draft_version(by=author(cast), source=a_document(limit=101))
    assert state_now(version) == State.SUPERSEDED
    assert state_now(edited) == State.DRAFT
    for refused in (version, edited):
        with pytest.raises(NotPossible):
            activations.activate_version(by=approver(cast), version=refused)
    with tenant_atomic(cast.tenant.pk):
        assert LedgerEvent.objects.filter(tag="policy_version.approvals_voided").exists()
    assert state_now(token_of) == State.IN_REVIEW


def test_an_approval_is_for_exactly_what_was_shown(cast: Cast) -> None:
    first, second = approvers(cast, 2)
    version = submitted(cast, a_document(risk="high"))
    other = submitted(cast, a_document("other", risk="high"))
    token = approvals.statement_for(by=first, version=version).token
    refusals: list[tuple[Actor, PolicyVersion, str]] = [
        (second, version, token),
        (first, other, token),
        (first, version, token + "x"),
    ]
    for by, about, sealed in refusals:
        with pytest.raises(NotPossible):
            approvals.approve_version(by=by, version=about, token=sealed, password=PASSWORD)
    with pytest.raises(ValidationError, match="password"):
        approvals.approve_version(by=first, version=version, token=token, password="a guess")
    with tenant_atomic(cast.tenant.pk):
        lowered = review_of(version).quorum | {"needed": 1}
        PolicyReview.objects.filter(version=version).update(quorum=lowered)
    with pytest.raises(NotPossible, match="shown"):
        approvals.approve_version(by=first, version=version, token=token, password=PASSWORD)


def test_the_quorum_of_a_high_risk_policy_is_two_people(cast: Cast) -> None:
    first, second = approvers(cast, 2)
    version = submitted(cast, a_document(risk="high"))
    approve(first, version)
    assert state_now(version) == State.IN_REVIEW
    with pytest.raises(NotPossible, match="already"):
        approve(first, version)
    approve(second, version)
    assert state_now(version) == State.APPROVED


def test_a_quorum_that_cannot_be_reached_is_said_at_once(cast: Cast) -> None:
    version = draft_version(by=author(cast), source=a_document(risk="high"))
    with pytest.raises(ValidationError, match="needs 2"):
        services.submit_version(by=author(cast), version=version)


def concurrently(count: int, work: Callable[[int], Any]) -> list[Any]:
    results: list[Any] = [None] * count
    start = threading.Barrier(count)

    def run(n: int) -> None:
        try:
            start.wait()
            results[n] = work(n)
        except (NotPossible, IntegrityError) as error:
            results[n] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_fifty_approvals_at_once_count_once_each(cast: Cast) -> None:
    two = approvers(cast, 2)
    version = submitted(cast, a_document(risk="high"))
    tokens = [[approvals.statement_for(by=by, version=version).token for _ in range(25)] for by in two]

    def give(n: int) -> PolicyReview:
        by, token = two[n % 2], tokens[n % 2][n // 2]
        return approvals.approve_version(by=by, version=version, token=token, password=PASSWORD)

    results = concurrently(50, give)
    assert sum(isinstance(result, PolicyReview) for result in results) == 2
    with tenant_atomic(cast.tenant.pk):
        assert PolicyApproval.objects.filter(review__version=version).count() == 2
    assert state_now(version) == State.APPROVED


def test_fifty_activations_at_once_leave_one(cast: Cast) -> None:
    version = approved(cast, a_document())
    results = concurrently(50, lambda n: activations.activate_version(by=approver(cast), version=version))
    assert sum(isinstance(result, PolicyActivation) for result in results) == 1
    with tenant_atomic(cast.tenant.pk):
        assert PolicyActivation.objects.filter(version=version).count() == 1


def test_nothing_starts_in_the_past_not_even_in_sql(cast: Cast) -> None:
    version = approved(cast, a_document())
    past = datetime.now(UTC) - timedelta(minutes=1)
    with pytest.raises(NotPossible, match="past"):
        activations.activate_version(by=approver(cast), version=version, starts=past)
    with pytest.raises(IntegrityError), tenant_atomic(cast.tenant.pk):
        PolicyActivation.objects.create(policy=version.policy, version=version, effective=DateTimeTZRange(past, None))


def test_cancelling_a_plan_lets_the_old_version_go_on(cast: Cast) -> None:
    first = put_in_force(cast, a_document())
    start = datetime.now(UTC) + SOON
    second = put_in_force(cast, a_document(limit=200), starts=start)
    planned = datetime.now(UTC)
    activations.cancel_activation(by=approver(cast), version=second)
    assert state_now(second) == State.APPROVED
    with tenant_atomic(cast.tenant.pk):
        now_known = activations.in_force_at(start + SOON)
        then_known = activations.in_force_at(start + SOON, known_at=planned)
    assert [row.version_id for row in now_known] == [first.pk]
    assert [row.version_id for row in then_known] == [second.pk]


def test_breaking_the_glass_ends_by_itself_and_is_followed_up(cast: Cast) -> None:
    first = put_in_force(cast, a_document())
    version = draft_version(by=author(cast), source=a_document(limit=5))
    with pytest.raises(NotPossible, match="somebody else"):
        activations.break_glass(by=with_all_rights(author(cast)), version=version, reason="now")
    with pytest.raises(ValidationError, match="24 hours"):
        activations.break_glass(by=approver(cast), version=version, reason="now", lasts=timedelta(hours=25))
    activations.break_glass(by=approver(cast), version=version, reason="answers leak data", lasts=SOON)
    assert state_now(version) == State.ACTIVE
    with tenant_atomic(cast.tenant.pk):
        assert PolicyFollowUp.objects.get().activation.version_id == version.pk
        later = activations.in_force_at(datetime.now(UTC) + 2 * SOON)
    assert [row.version_id for row in later] == [first.pk]


def test_shadow_runs_beside_what_is_enforced(cast: Cast) -> None:
    first = put_in_force(cast, a_document())
    second = put_in_force(cast, a_document(limit=200), mode=Mode.SHADOW)
    assert state_now(second) == State.APPROVED
    with tenant_atomic(cast.tenant.pk):
        found = activations.in_force_at(datetime.now(UTC))
    assert [(row.version_id, row.mode) for row in found] == [(first.pk, Mode.ENFORCE), (second.pk, Mode.SHADOW)]


def test_another_organisation_sees_none_of_it(cast: Cast, stranger: Cast) -> None:
    version = submitted(cast, a_document())
    foreign = stranger.actors[Role.POLICY_APPROVER]
    with pytest.raises(Exception, match=r"No such|does not exist|matching query"):
        approvals.statement_for(by=foreign, version=version)
