"""Pages of usage and budgets, through the browser's door."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit, submit_each
from tests.tenants.test_pages import browser, text_of, url
from traces.costs.budgeting import BudgetTerms, create_budget, watch_budgets
from traces.costs.rollups import roll_up
from traces.costs.services import record_price
from traces.costs.views import usage
from traces.models import Budget

NOW = datetime.now(UTC)
GPT_4O = {"provider": "openai", "name": "gpt-4o"}


def use(cast: Cast, n: int, **changes: Any) -> None:
    values = {"occurred_at": (NOW - timedelta(hours=2)).isoformat(), "model": GPT_4O} | changes
    values = {"usage": {"input_tokens": 400_000, "output_tokens": 0}} | values
    submit(cast, n, **values)
    roll_up(cast.tenant.pk, now=NOW)


def page(cast: Cast, name: str = "usage", *rest: object, **query: str) -> str:
    response = browser(cast.people[Role.VIEWER]).get(url(cast, name, *rest), query)
    assert response.status_code == 200
    return text_of(response)


def test_the_page_says_what_was_spent_and_what_has_no_price(cast: Cast) -> None:
    use(cast, 3, system="loans")
    use(cast, 2, system="claims", model={"provider": "acme", "name": "own"})
    shown = page(cast)
    assert "3.00 USD" in shown
    assert "2 decisions without a price" in shown
    assert re.search(r"claims.*?unpriced", shown, re.DOTALL)
    assert "own" in page(cast, group="model")


def test_one_user_is_shown_in_the_currency_that_was_paid(cast: Cast) -> None:
    record_price(by=cast.owner, document={"model": "own", "currency": "EUR", "rates": {"input": "1"}})
    use(cast, 3, user="u-1", model={"provider": "acme", "name": "own"})
    assert "1.20 EUR" in page(cast, user="u-1")
    assert "1.20 EUR" in page(cast, group="user")


def test_nothing_used_says_so(cast: Cast) -> None:
    assert "Nothing was used" in page(cast)


def test_from_the_bill_that_jumped_to_the_session_that_did_it(cast: Cast) -> None:
    for day in range(10, 20):
        use(cast, 1, session=f"s-{day}", occurred_at=(NOW - timedelta(days=day)).isoformat())
    use(cast, 40, session="s-runaway", system="agents")
    bill = page(cast, days="7")
    assert "+40.00 USD" in bill or "+39" in bill
    session = next(link for link in links(page(cast, days="7", group="session")) if "session=s-runaway" in link)
    response = browser(cast.people[Role.VIEWER]).get(session)
    assert response.status_code == 200
    assert len(re.findall(r"/decisions/[0-9a-f-]{36}/\"", text_of(response))) == 40


def links(markup: str) -> list[str]:
    return re.findall(r'href="([^"]+)"', markup)


@pytest.mark.parametrize(
    "group", ["system", "task", "model", "prompt", "user", "session", "agent", "source", "outcome"]
)
def test_every_link_of_the_page_leads_somewhere(cast: Cast, group: str) -> None:
    use(cast, 2, agent="")
    use(cast, 1, agent="screener", session=None, task=None, model={"provider": "openai", "name": "gpt-4o"})
    client = browser(cast.people[Role.VIEWER])
    shown = text_of(client.get(url(cast, "usage"), {"group": group}))
    here = {link for link in links(shown) if link.startswith("/t/")}
    assert len(here) > 15
    for link in here:
        answer = client.get(link)
        assert answer.status_code == 200, link
        assert "flash-breach" not in text_of(answer), link


def test_a_wrong_address_is_explained(cast: Cast) -> None:
    assert "is not one of" in page(cast, group="colour")
    assert "counted by system" in page(cast, group="user", model="gpt-4o")


def test_the_page_costs_the_same_queries_at_any_size(cast: Cast) -> None:
    client = browser(cast.people[Role.VIEWER])

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url(cast, "usage"), {"group": "user"}).status_code == 200
        return len(captured)

    use(cast, 2)
    create_budget(by=cast.owner, terms=BudgetTerms("b", 10))
    queries()
    few = queries()
    at = (NOW - timedelta(hours=3)).isoformat()
    submit_each(cast, [a_decision(user=f"u{n}", system=f"s{n % 9}", occurred_at=at) for n in range(80)])
    roll_up(cast.tenant.pk, now=NOW)
    for number in range(6):
        create_budget(by=cast.owner, terms=BudgetTerms(f"b{number}", 10))
    assert queries() == few


def test_a_budget_is_set_changed_and_retired_by_who_may(cast: Cast) -> None:
    use(cast, 6)
    client, filled = browser(cast.people[Role.OWNER]), {
        "name": "All", "limit": "10.00", "currency": "usd", "period": "month", "days": "30", "scope": "tenant",
        "subject": "", "thresholds": "50, 100", "on_exceed": "none", "route_to": "",
    }  # fmt: skip
    where = client.post(url(cast, "budget-create"), filled).headers["Location"]
    assert "6.00 USD of 10.00 USD spent" in text_of(client.get(where))
    watch_budgets(cast.tenant.pk)
    assert "50 % spent" in text_of(client.get(where))
    assert client.post(where, filled | {"limit": "5"}).status_code == 302
    assert "Over" in text_of(client.get(url(cast, "budget-list")))
    assert "Name the model" in text_of(client.post(where, filled | {"on_exceed": "route"}))
    assert "Whole numbers" in text_of(client.post(where, filled | {"thresholds": "many"}))
    with tenant_atomic(cast.tenant.pk):
        budget = Budget.objects.get()
    viewer = browser(cast.people[Role.VIEWER])
    assert viewer.get(where).status_code == 200
    assert viewer.post(where, filled).status_code == 403
    assert viewer.get(url(cast, "budget-create")).status_code == 403
    assert client.post(url(cast, "budget-retire", budget.pk)).status_code == 302
    assert client.get(where).status_code == 404


def test_another_tenants_budget_is_not_there(cast: Cast, stranger: Cast) -> None:
    budget = create_budget(by=stranger.owner, terms=BudgetTerms("x", 10))
    assert browser(cast.people[Role.OWNER]).get(url(cast, "budget-detail", budget.pk)).status_code == 404


def test_the_charts_are_told_apart_without_colour(cast: Cast) -> None:
    for number in range(9):
        use(cast, 1 + number, system=f"system-{number}")
    shown = page(cast)
    drawn = set(re.findall(r'fill="url\(#([\w-]+)\)"', shown))
    defined = set(re.findall(r'<pattern id="([\w-]+)"', shown))
    assert drawn == defined == {*(f"p{n}" for n in range(6)), "p-rest"}
    assert "All others" in shown
    assert not re.search(r"<[^>]+\sstyle=", shown)
    assert usage.__doc__
