"""From an alert to its case: by hand or by the rule, once, over the decisions since the change began."""

import uuid
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from audits import alerts
from audits.alerts import HasCase, RuleTerms, open_case_for_alert, open_cases_for_alerts, set_alert_rule
from audits.models import AlertCase, AlertRule, Case, CaseType
from audits.populations import scope_of
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.test_pages import browser, text_of, url
from tests.traces.drift.made import START, decisions, record
from traces.drift import alerting, services, worker
from traces.drift.events import Event
from traces.drift.selectors import Shown, get_alert, list_alerts
from traces.models import Decision
from traces.selectors import filtered


@pytest.fixture
def changed(cast: Cast) -> Shown:
    """A change of prompt and manner, noticed and not yet worked out."""
    record(cast, decisions(310, change_at=270))
    worker.look(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        return list_alerts()[0]


def an_event(cast: Cast, kind: str = "runaway_session", who: str = "s-77") -> uuid.UUID:
    """Something that is final at once."""
    (decision,) = submit(cast, 1)
    at = datetime.now(UTC).timestamp()
    with tenant_atomic(cast.tenant.pk):
        deployment = Decision.objects.get(pk=decision).deployment_id
        alerting.write(cast.tenant.pk, deployment, Event(kind, who, at - 60, at, 40, str(decision), "x"), None, at)
        return list_alerts()[0].id


def a_rule(cast: Cast, least: str = "high") -> AlertRule:
    return set_alert_rule(by=cast.auditor, terms=RuleTerms(least, cast.people[Role.AUDITOR]))


def run(cast: Cast, later: timedelta = timedelta()) -> list[Case]:
    return open_cases_for_alerts(cast.tenant.pk, datetime.now(UTC) + later)


def test_the_population_is_what_came_since_under_the_new_prompt(cast: Cast, changed: Shown) -> None:
    with tenant_atomic(cast.tenant.pk):
        scope = alerts.scope_of_alert(changed)
        found = list(filtered(scope).values_list("occurred_at", "model_version__prompt_version"))
    assert scope.as_dict().keys() == {"since", "system", "environment", "task", "prompt"}
    assert scope.since == changed.alert.onset_at
    assert 30 <= len(found) <= 45
    assert {version for _, version in found} == {"15"}
    assert min(at for at, _ in found) >= START


def test_an_event_is_about_its_session_until_it_was_noticed(cast: Cast) -> None:
    pk = an_event(cast)
    with tenant_atomic(cast.tenant.pk):
        scope = alerts.scope_of_alert(get_alert(cast.auditor, pk))
    assert (scope.session, scope.user, scope.q) == ("s-77", "", "")
    assert scope.until is not None


def test_lengths_that_changed_are_about_the_whole_deployment(cast: Cast) -> None:
    pk = an_event(cast, kind="lengths", who="answers longer")
    with tenant_atomic(cast.tenant.pk):
        scope = alerts.scope_of_alert(get_alert(cast.auditor, pk))
    assert (scope.session, scope.user, scope.q) == ("", "", "")


def test_a_person_opens_it_from_the_alert_once(cast: Cast, changed: Shown) -> None:
    client, page = browser(cast.people[Role.AUDITOR]), url(cast, "case-from-alert", changed.id)
    assert page in client.get(url(cast, "drift-detail", changed.id)).content.decode()
    form = client.get(page).content.decode()
    assert "Behaviour changed: loan-assistant" in form
    assert "Likeliest cause" in form
    sent = {"title": "What the new prompt did", "type": "triggered", "objective": "See."}
    opened = text_of(client.post(page, sent, follow=True))
    assert "What the new prompt did" in opened
    again = text_of(client.get(page, follow=True))
    assert "was opened for this alert" in again
    with tenant_atomic(cast.tenant.pk):
        case, (event,) = Case.objects.get(), LedgerEvent.objects.filter(tag="case.alert_linked")
        assert scope_of(case).since == changed.alert.onset_at
    assert orjson.loads(bytes(event.body))["alert"] == str(changed.id)


def test_two_who_open_it_at_once_leave_one_case(cast: Cast, changed: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    brief = alerts.brief_of_alert(changed)
    open_case_for_alert(by=cast.auditor, shown=changed, brief=brief)
    with pytest.raises(HasCase):
        open_case_for_alert(by=cast.auditor, shown=changed, brief=brief)
    monkeypatch.setattr(alerts, "case_of_alert", lambda pk: None)  # the other has not committed yet
    with pytest.raises(ValidationError, match="just now"):
        open_case_for_alert(by=cast.auditor, shown=changed, brief=brief)
    with tenant_atomic(cast.tenant.pk):
        assert Case.objects.count() == AlertCase.objects.count() == 1


def test_who_may_open_none_is_not_offered_one(cast: Cast, stranger: Cast, changed: Shown) -> None:
    viewer, page = browser(cast.people[Role.VIEWER]), url(cast, "case-from-alert", changed.id)
    assert page not in viewer.get(url(cast, "drift-detail", changed.id)).content.decode()
    assert viewer.get(page).status_code == 403
    assert browser(stranger.people[Role.AUDITOR]).get(url(stranger, "case-from-alert", changed.id)).status_code == 404
    with pytest.raises(PermissionDenied):
        set_alert_rule(by=cast.actors[Role.VIEWER], terms=RuleTerms())


def test_the_rule_opens_one_for_what_is_noticed_from_then_on(cast: Cast) -> None:
    an_event(cast)
    assert run(cast) == []
    a_rule(cast)
    assert run(cast) == []
    pk = an_event(cast, who="s-78")
    an_event(cast, kind="repeated_requests", who="u-9")  # less severe than the rule asks for
    (case,) = run(cast)
    assert run(cast) == []
    with tenant_atomic(cast.tenant.pk):
        link = AlertCase.objects.get()
    assert (link.alert_id, link.case_id, link.by_rule) == (pk, case.pk, True)
    assert (case.lead_id, case.type) == (cast.people[Role.AUDITOR].pk, CaseType.TRIGGERED)


def test_a_change_waits_until_it_is_worked_out_but_not_for_ever(cast: Cast) -> None:
    a_rule(cast)
    record(cast, decisions(310, change_at=270))
    worker.look(cast.tenant.pk)
    assert run(cast) == []
    assert len(run(cast, alerts.PATIENCE + timedelta(minutes=1))) == 1


def test_what_somebody_expected_or_muted_opens_none_while_it_is(cast: Cast) -> None:
    a_rule(cast)
    muted, expected = an_event(cast), an_event(cast, who="s-79")
    until = datetime.now(UTC) + timedelta(days=7)
    services.mute_alert(by=cast.auditor, alert_id=muted, until=until, note="Known.")
    services.expect_change(by=cast.auditor, alert_id=expected, note="Meant.")
    assert run(cast) == []
    assert len(run(cast, timedelta(days=8))) == 1


def test_a_lead_who_left_is_no_lead(cast: Cast) -> None:
    a_rule(cast)
    an_event(cast)
    with tenant_atomic(cast.tenant.pk):
        AlertRule.objects.update(lead=cast.people[Role.VIEWER])
    assert run(cast) == []


def test_the_rule_is_set_in_the_browser_and_is_a_leaf(cast: Cast) -> None:
    client, page = browser(cast.people[Role.AUDITOR]), url(cast, "alert-rule")
    assert "Name the person" in text_of(client.post(page, {"least": "high", "lead": ""}))
    lead = str(cast.people[Role.AUDITOR].pk)
    assert "open a case led by" in text_of(client.post(page, {"least": "medium", "lead": lead}, follow=True))
    assert "No alert opens a case" in text_of(client.post(page, {"least": "", "lead": ""}, follow=True))
    with tenant_atomic(cast.tenant.pk):
        assert LedgerEvent.objects.filter(tag="alert_rule.set").count() == 2


def test_the_database_keeps_one_rule_a_tenant_and_a_lead_in_it(cast: Cast) -> None:
    a_rule(cast)
    with tenant_atomic(cast.tenant.pk):
        for broken in ({"least": "", "set_by": "x"}, {"least": "high", "set_by": "x", "lead": None}):
            with pytest.raises(IntegrityError), transaction.atomic():
                AlertRule.objects.create(**broken)
