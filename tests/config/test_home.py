"""The start page: what waits for whom, the state of trust, the first steps; at the same price whatever is stored."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tenants.context import tenant_atomic
from tenants.roles import Role
from tenants.services import create_key
from tests.audits.log import publish
from tests.factories.audits import Team, case_in_fieldwork, case_in_review, make_team
from tests.factories.costs import spend, terms
from tests.factories.policies import a_document, put_in_force, submitted
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.test_pages import browser, text_of, url
from tests.traces.drift.test_views import some_events
from traces.completeness import find_gaps
from traces.costs.budgeting import create_budget, watch_budgets
from traces.models import SequenceGap

NOW = datetime.now(UTC)
MOST_QUERIES = 20


def home(cast: Cast, role: str) -> str:
    response = browser(cast.people[role]).get(url(cast, "tenant-home"))
    assert response.status_code == 200
    return text_of(response)


def queries(cast: Cast, role: str) -> int:
    """What a visit asks of the database, without the frame of its transaction."""
    client, address = browser(cast.people[role]), url(cast, "tenant-home")
    client.get(address)
    with CaptureQueriesContext(connection) as captured:
        client.get(address)
    return sum(not query["sql"].startswith(("BEGIN", "SET LOCAL", "COMMIT")) for query in captured)


def everything(cast: Cast, team: Team, number: int) -> None:
    """One more of all that a start page lists."""
    submit(cast, 2)
    some_events(cast, number)
    case_in_fieldwork(team)
    submitted(cast, a_document(f"policy-{number}"))
    put_in_force(cast, a_document(f"forced-{number}"))
    create_budget(by=cast.owner, terms=terms(name=f"Budget {number}", limit_micros=1_000_000))
    create_key(by=cast.owner, name=f"Key {number}", scopes=["read"], expires_at=NOW + timedelta(days=number))
    spend(cast, 2, at=NOW - timedelta(hours=1), now=NOW)
    watch_budgets(cast.tenant.pk, now=NOW)
    publish(cast)


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.AUDITOR, Role.POLICY_APPROVER, Role.VIEWER])
def test_the_page_costs_the_same_queries_at_any_size(cast: Cast, role: str) -> None:
    team = make_team(cast)
    everything(cast, team, 1)
    few = queries(cast, role)
    for number in range(2, 7):
        everything(cast, team, number)
    assert queries(cast, role) == few <= MOST_QUERIES


def test_each_is_told_what_waits_for_them_and_nothing_of_others(cast: Cast) -> None:
    everything(cast, make_team(cast), 1)
    owner, approver, auditor, viewer = (
        home(cast, role) for role in (Role.OWNER, Role.POLICY_APPROVER, Role.AUDITOR, Role.VIEWER)
    )
    assert "Over its limit" in owner
    assert "Key 1" in owner
    assert "Read and decide" in approver
    assert "Test the sample" in auditor
    assert "Repeated requests" in auditor
    for other in ("Over its limit", "Key 1", "Read and decide", "Test the sample"):
        assert sum(other in page for page in (owner, approver, auditor, viewer)) == 1
    assert "Nothing. What needs you" in viewer


def test_more_than_fits_is_said(cast: Cast) -> None:
    submit(cast)
    some_events(cast, 6)
    page = home(cast, Role.OWNER)
    assert page.count("Repeated requests") == 5
    assert "More of them" in page


def test_the_state_of_trust_names_what_is_missing(cast: Cast) -> None:
    submit(cast, 1, source_seq=1)
    submit(cast, 1, source_seq=5)
    with tenant_atomic(cast.tenant.pk):
        find_gaps()
        assert SequenceGap.objects.count() == 1
    page = home(cast, Role.OWNER)
    assert "3 records missing" in page
    assert "3 records never arrived" in page
    assert "Nothing is signed yet" in page
    publish(cast)
    assert "Everything is signed" in home(cast, Role.VIEWER)


def test_looking_at_the_start_page_opens_no_content(cast: Cast) -> None:
    submit(cast, 3)
    publish(cast)
    page = home(cast, Role.AUDITOR)
    assert "loan-assistant" in page
    assert "May I borrow" not in page


def test_the_first_steps_last_until_the_first_record(cast: Cast) -> None:
    client = browser(cast.people[Role.OWNER])
    begun = text_of(client.get(url(cast, "tenant-home")))
    assert "Send the first decision" in begun
    asked = url(cast, "first-record")
    assert f'hx-get="{asked}" hx-trigger="every 3s"' in begun
    assert "every 3s" in text_of(client.get(asked))
    submit(cast)
    came = text_of(client.get(asked))
    assert "The first record is here" in came
    assert "every 3s" not in came
    assert "Send the first decision" not in text_of(client.get(url(cast, "tenant-home")))


def test_who_reads_no_decision_sees_only_their_cases(cast: Cast) -> None:
    submit(cast)
    case_in_review(make_team(cast))
    page = home(cast, Role.EXTERNAL_AUDITOR)
    assert "State of trust" not in page
    assert "Recorded last" not in page
    assert "Send the first decision" not in page
