"""A case whose day comes near is told of once for each day, to who works on it."""

from datetime import UTC, datetime, timedelta

from audits.clocks import meet_clock
from audits.deadlines import ClockKind
from audits.findings import move_finding
from audits.lifecycles import FindingAction
from audits.models import Case, CaseClock, CaseType
from audits.reminding import remind_of_cases
from audits.requests import RequestText, request_evidence
from audits.services import FindingText, move_case, write_finding
from audits.workflow import Action
from tenants.context import tenant_atomic
from tenants.models import Notification
from tests.factories.audits import case_in_fieldwork, make_team, planned_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)


def due_on(case: Case, days: int) -> None:
    with tenant_atomic(case.tenant_id):
        Case.objects.filter(pk=case.pk).update(due=(NOW + timedelta(days=days)).date())


def reminders(cast: Cast) -> list[Notification]:
    with tenant_atomic(cast.tenant.pk):
        return list(Notification.objects.filter(event_type="case.came_due").order_by("id"))


def test_a_day_that_comes_near_is_told_once_and_another_again(cast: Cast) -> None:
    submit(cast, 1)
    team = make_team(cast)
    case = planned_case(team)
    due_on(case, 4)
    assert remind_of_cases(cast.tenant.pk, NOW) == 0
    due_on(case, 3)
    for _ in range(2):
        assert remind_of_cases(cast.tenant.pk, NOW) == 1
    (first,) = reminders(cast)
    assert set(first.people) == {team.people["lead"].pk, team.people["reviewer"].pk, case.preparer_id}
    due_on(case, 2)
    remind_of_cases(cast.tenant.pk, NOW)
    assert len(reminders(cast)) == 2


def test_what_is_long_past_or_over_is_not_told(cast: Cast) -> None:
    submit(cast, 1)
    case = planned_case(make_team(cast))
    due_on(case, -8)
    assert remind_of_cases(cast.tenant.pk, NOW) == 0
    due_on(case, 1)
    with tenant_atomic(cast.tenant.pk):
        assert Case.objects.filter(pk=case.pk, state="planned").exists()
    assert remind_of_cases(cast.tenant.pk, NOW) == 1


def kinds(cast: Cast) -> list[str]:
    with tenant_atomic(cast.tenant.pk):
        found = Notification.objects.filter(event_type__endswith=".came_due")
        return sorted(found.values_list("event_type", flat=True))


def test_requests_findings_and_statutory_deadlines_come_due_too(cast: Cast) -> None:
    submit(cast, 1)
    team, soon = make_team(cast), (NOW + timedelta(days=2)).date()
    case = case_in_fieldwork(team, kind=CaseType.EXPLANATION)
    finding = write_finding(by=team.lead, case=case, text=FindingText("x", "y", due=soon))
    request_evidence(by=team.lead, case=case, text=RequestText("x", due=soon, is_blocking=False))
    with tenant_atomic(cast.tenant.pk):
        CaseClock.objects.filter(case=case).update(started_at=NOW - timedelta(days=28))
    for _ in range(2):
        assert remind_of_cases(cast.tenant.pk, NOW) == 3
    assert kinds(cast) == ["case_clock.came_due", "evidence_request.came_due", "finding.came_due"]
    meet_clock(by=team.lead, case=case, kind=ClockKind.EXPLANATION, how="A letter.")
    move_finding(by=team.reviewer, finding=finding, action=FindingAction.DISMISS, text="It is none.")
    assert remind_of_cases(cast.tenant.pk, NOW) == 1
    move_case(by=team.lead, case=case, action=Action.HOLD, reason="Wait.")
    assert remind_of_cases(cast.tenant.pk, NOW) == 0
