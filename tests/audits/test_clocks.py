"""Statutory clocks of real cases."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from audits.clocks import extend_clock, meet_clock, start_clock
from audits.deadlines import ClockKind
from audits.models import Case, CaseClock, CaseType
from audits.services import Brief, move_case, open_case
from audits.workflow import Action, NotAllowed
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tests.factories.audits import Team, fresh, make_team
from tests.factories.tenants import Cast
from traces.selectors import DecisionFilter

NOW = datetime.now(UTC)


@pytest.fixture
def team(cast: Cast) -> Team:
    return make_team(cast)


def opened(team: Team, type: CaseType, days_ago: int = 0) -> Case:
    brief = Brief("About one decision", type=type, aware_at=NOW - timedelta(days=days_ago))
    return open_case(by=team.lead, scope=DecisionFilter(), brief=brief)


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        (CaseType.INCIDENT, ClockKind.SERIOUS),
        (CaseType.EXPLANATION, ClockKind.EXPLANATION),
        (CaseType.CONTEST, ClockKind.CONTEST),
    ],
)
def test_a_case_starts_the_clock_of_its_type_when_somebody_knew(team: Team, type: CaseType, kind: ClockKind) -> None:
    case = opened(team, type, days_ago=3)
    with tenant_atomic(case.tenant_id):
        clock = case.clocks.get()
        tags = LedgerEvent.objects.order_by("-id").values_list("tag", flat=True)[:2]
        assert list(tags) == ["case_clock.started", "case.opened"]
    assert (clock.kind, clock.started_at) == (kind, NOW - timedelta(days=3))


def test_a_shorter_clock_is_started_beside_it_and_met(team: Team) -> None:
    case = opened(team, CaseType.INCIDENT)
    with pytest.raises(ValidationError, match="not in the future"):
        start_clock(by=team.lead, case=case, kind=ClockKind.DEATH, started_at=NOW + timedelta(hours=1))
    start_clock(by=team.lead, case=case, kind=ClockKind.DEATH, started_at=NOW)
    with pytest.raises(NotAllowed, match="running already"):
        start_clock(by=team.lead, case=case, kind=ClockKind.DEATH, started_at=NOW)
    clock = meet_clock(by=team.lead, case=case, kind=ClockKind.DEATH, how="First report to the authority.")
    assert clock.met_at is not None
    with pytest.raises(NotAllowed, match="No such clock"):
        meet_clock(by=team.lead, case=case, kind=ClockKind.DEATH, how="Again.")


def test_the_law_extends_once_before_it_is_due(team: Team) -> None:
    case = opened(team, CaseType.CONTEST)
    with pytest.raises(ValidationError, match="told why"):
        extend_clock(by=team.lead, case=case, kind=ClockKind.CONTEST, reason=" ")
    assert extend_clock(by=team.lead, case=case, kind=ClockKind.CONTEST, reason="Complex.").extension == "Complex."
    with pytest.raises(NotAllowed, match="once"):
        extend_clock(by=team.lead, case=case, kind=ClockKind.CONTEST, reason="More.")
    late = opened(team, CaseType.CONTEST, days_ago=40)
    with pytest.raises(NotAllowed, match="overdue"):
        extend_clock(by=team.lead, case=late, kind=ClockKind.CONTEST, reason="Late.")
    with pytest.raises(ValidationError, match="does not extend"):
        extend_clock(by=team.lead, case=case, kind=ClockKind.SERIOUS, reason="x")


def test_only_the_lead_keeps_clocks_and_a_met_one_says_how(team: Team) -> None:
    case = opened(team, CaseType.INCIDENT)
    with pytest.raises(NotAllowed, match="keeps its clocks"):
        meet_clock(by=team.bystander, case=case, kind=ClockKind.SERIOUS, how="x")
    with tenant_atomic(case.tenant_id), pytest.raises(IntegrityError, match="case_clock_met_somehow"):
        CaseClock.objects.update(met_at=NOW)


def test_a_hold_pauses_the_cases_own_date(team: Team) -> None:
    due = NOW.date() + timedelta(days=10)
    case = open_case(by=team.lead, scope=DecisionFilter(), brief=Brief("x", due=due))
    move_case(by=team.lead, case=case, action=Action.HOLD, reason="Court.")
    with tenant_atomic(case.tenant_id):
        Case.objects.filter(pk=case.pk).update(state_at=NOW - timedelta(days=4, hours=1))
    assert fresh(case).due_by(datetime.now(UTC)) == due + timedelta(days=4)
    move_case(by=team.lead, case=case, action=Action.RESUME)
    assert fresh(case).due_by(NOW + timedelta(days=90)) == due + timedelta(days=4)
