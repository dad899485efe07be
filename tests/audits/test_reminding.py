"""A case whose day comes near is told of once for each day, to who works on it."""

from datetime import UTC, datetime, timedelta

from audits.models import Case
from audits.reminding import remind_of_cases
from tenants.context import tenant_atomic
from tenants.models import Notification
from tests.factories.audits import make_team, planned_case
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
