"""The sample form, a method at a time, and items that give way, as the preparer's browser sees them."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from audits.models import Case, Sample
from audits.populations import SamplePlan, freeze_population
from audits.sampling import Method
from audits.selectors import items_of
from audits.workflow import State
from tenants.context import tenant_atomic
from tests.audits.log import publish
from tests.factories.audits import Team, case_in_fieldwork, fresh, make_team, planned_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit

FIELDS = {
    Method.ATTRIBUTE: {"tolerable", "expected", "overreliance"},
    Method.DISCOVERY: {"critical", "overreliance"},
    Method.LOT: {"level", "aql", "overreliance"},
    Method.STRATIFIED: {"stratify_by", "minimum", "tolerable", "expected", "overreliance", "size"},
    Method.MONETARY: {"tolerable_amount", "expected_amount", "overreliance"},
    Method.RANDOM: {"size", "overreliance"},
    Method.EXCEPTIONS: {"rules"},
    Method.ALL: set(),
}


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 6)
    submit(cast, 4, outcome={"decision": "refuse", "adverse": True})
    return make_team(cast)


@pytest.fixture
def lead(team: Team) -> Client:
    client = Client()
    client.force_login(team.people["lead"])
    return client


def url(case: Case, name: str, *rest: object) -> str:
    with tenant_atomic(case.tenant_id):
        return reverse(name, args=[case.tenant.slug, case.pk, *rest])


def frozen(team: Team) -> Case:
    case = planned_case(team)
    publish(team.cast)
    freeze_population(by=team.lead, case=case)
    publish(team.cast)
    return fresh(case)


def test_each_method_asks_for_what_it_needs_and_no_more(team: Team, lead: Client) -> None:
    case = frozen(team)
    for method, fields in FIELDS.items():
        page = lead.get(url(case, "case-sample"), {"method": method}).content.decode()
        main = page[page.index("<main") : page.index("</main>")]
        form = main[main.index("<form class") :]
        names = set(re.findall(r'name="(\w+)"', form)) - {"csrfmiddlewaretoken"}
        assert names == fields | {"version", "method", "justification"}, method
        assert f'name="method" value="{method}"' in form
        assert "10 decisions in the population" in page
    assert 'aria-current="page">Attribute' in lead.get(url(case, "case-sample"), {"method": "x"}).content.decode()


@pytest.mark.parametrize(
    ("said", "n"),
    [
        ({"method": "stratified", "stratify_by": "outcome", "minimum": "2", "size": "5", "overreliance": "500"}, 5),
        ({"method": "iso2859", "level": "II", "aql": "4.0", "overreliance": "500"}, 3),
        ({"method": "discovery", "critical": "40", "overreliance": "1000"}, 4),
        ({"method": "exceptions", "rules": ["adverse"]}, 4),
        ({"method": "all", "justification": "There are few."}, 10),
    ],
    ids=lambda value: value["method"] if isinstance(value, dict) else "",
)
def test_a_sample_is_drawn_as_the_form_says(team: Team, lead: Client, said: dict[str, object], n: int) -> None:
    case = frozen(team)
    answer = lead.post(url(case, "case-sample"), said | {"version": case.version})
    assert answer.status_code == 302, answer.content.decode()
    with tenant_atomic(case.tenant_id):
        assert items_of(fresh(case)).count() == n
        assert Sample.objects.get(population__case=case).method == said["method"]
    page = lead.get(url(case, "case-detail")).content.decode()
    assert Method(str(said["method"])).label in page


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"method": "random"}, "This field is required"),
        ({"method": "exceptions", "rules": ["claim"]}, "there is nothing to draw"),
        ({"method": "monetary", "tolerable_amount": "0", "overreliance": "500"}, "must be below the tolerable"),
    ],
)
def test_a_plan_that_gives_none_says_why(team: Team, lead: Client, said: dict[str, object], why: str) -> None:
    case = frozen(team)
    answer = lead.post(url(case, "case-sample"), said | {"version": case.version})
    assert answer.status_code == 200
    assert why in answer.content.decode()
    assert fresh(case).state == State.POPULATION_FROZEN


def test_an_item_gives_way_from_its_row(team: Team, lead: Client) -> None:
    case = case_in_fieldwork(team, SamplePlan(Method.RANDOM, size=2))
    with tenant_atomic(case.tenant_id):
        item = items_of(case)[0]
    row, htmx = url(case, "case-item", item.pk), {"HX-Request": "true"}
    refused = lead.post(row, {"result": "replace", "note": ""}, headers=htmx)
    assert (refused.status_code, "cannot be examined" in refused.content.decode()) == (422, True)
    done = lead.post(row, {"result": "replace", "note": "A test call."}, headers=htmx)
    assert (done.status_code, done["HX-Refresh"]) == (200, "true")
    page = lead.get(url(case, "case-detail")).content.decode()
    assert "Item 1, replaced by item 3" in page
    assert "Item 3, in place of item 1" in page


def test_what_was_not_drawn_by_rank_offers_no_stand_in(team: Team, lead: Client) -> None:
    case = case_in_fieldwork(team)
    assert 'value="replace"' not in lead.get(url(case, "case-detail")).content.decode()
