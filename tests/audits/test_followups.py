"""A broken glass opens a case by itself: once, for somebody who had no hand in it."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from audits import followups, tasks
from audits.followups import open_cases_for_follow_ups
from audits.models import Case, CaseType
from policies.activations import break_glass
from policies.models import PolicyActivation, PolicyFollowUp
from policies.services import draft_version
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent, Membership
from tenants.roles import Role
from tests.factories.policies import a_document
from tests.factories.tenants import Cast
from traces.selectors import DecisionFilter


def broken_glass(cast: Cast, source: str | None = None) -> PolicyActivation:
    version = draft_version(by=cast.actors[Role.POLICY_AUTHOR], source=source or a_document())
    by = cast.actors[Role.POLICY_APPROVER]
    return break_glass(by=by, version=version, reason="answers leak data", lasts=timedelta(hours=3))


def test_a_broken_glass_opens_a_case_over_its_decisions(cast: Cast) -> None:
    activation = broken_glass(cast, a_document() + "applies_to: {systems: [loans]}\n")
    (opened,) = open_cases_for_follow_ups(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        case = Case.objects.get()
        follow_up = PolicyFollowUp.objects.get()
        assert LedgerEvent.objects.filter(tag="case.opened").count() == 1
    assert (follow_up.case_id, case.pk) == (opened.pk, opened.pk)
    assert (case.type, case.state, case.due) == (CaseType.POLICY_EXCEPTION, "draft", follow_up.due_at.date())
    assert "answers leak data" in case.objective
    assert case.title == "Emergency activation of short-answers version 1"
    span = activation.effective
    wanted = DecisionFilter(since=span.lower, until=span.upper, system="loans")
    assert bytes(case.scope_query) == wanted.canonical()


def test_it_opens_once_however_often_it_is_asked(cast: Cast) -> None:
    broken_glass(cast)

    def poll() -> None:
        try:
            open_cases_for_follow_ups(cast.tenant.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=poll) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert open_cases_for_follow_ups(cast.tenant.pk) == []
    with tenant_atomic(cast.tenant.pk):
        assert Case.objects.count() == 1


def test_an_auditor_leads_else_an_administrator_else_it_waits(cast: Cast) -> None:
    broken_glass(cast)
    with tenant_atomic(cast.tenant.pk):
        Membership.objects.filter(user=cast.people[Role.AUDITOR]).delete()
        Membership.objects.filter(user=cast.people[Role.ADMIN]).delete()
    assert open_cases_for_follow_ups(cast.tenant.pk) == []
    with tenant_atomic(cast.tenant.pk):
        Membership.objects.create(user=cast.people[Role.ADMIN], roles=[Role.ADMIN])
    (case,) = open_cases_for_follow_ups(cast.tenant.pk)
    assert case.lead_id == cast.people[Role.ADMIN].pk
    with tenant_atomic(cast.tenant.pk):
        Membership.objects.create(user=cast.people[Role.AUDITOR], roles=[Role.AUDITOR])
    broken_glass(cast, a_document("another"))
    (case,) = open_cases_for_follow_ups(cast.tenant.pk)
    assert case.lead_id == cast.people[Role.AUDITOR].pk


def test_nobody_leads_the_follow_up_of_their_own_act(cast: Cast) -> None:
    admin = cast.actors[Role.ADMIN]
    version = draft_version(by=cast.actors[Role.POLICY_AUTHOR], source=a_document())
    break_glass(by=admin, version=version, reason="now")
    with tenant_atomic(cast.tenant.pk):
        Membership.objects.filter(user=cast.people[Role.AUDITOR]).delete()
    assert open_cases_for_follow_ups(cast.tenant.pk) == []


def test_a_case_and_its_note_are_one(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_glass(cast)

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(PolicyFollowUp, "save", fail)
    with pytest.raises(RuntimeError):
        open_cases_for_follow_ups(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        assert not Case.objects.exists()


def test_the_task_asks_every_tenant(cast: Cast, stranger: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(tasks, "tenant_ids", lambda: [cast.tenant.pk, stranger.tenant.pk])
    monkeypatch.setattr(followups, "open_cases_for_follow_ups", asked.append)
    tasks.open_follow_ups()
    assert asked == [cast.tenant.pk, stranger.tenant.pk]
