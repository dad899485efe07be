"""Go to: what bears a name is found by those who may see it, the only exact one is gone to."""

import uuid

from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.services import Brief, open_case
from config.finding import EACH, find
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.audits import make_team
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.test_pages import browser, text_of, url
from traces.selectors import DecisionFilter


def named(actor: Actor, text: str) -> list[tuple[str, str]]:
    with tenant_atomic(actor.tenant_id):
        return [(one.kind, one.label) for one in find(actor, "any", text)]


def test_each_thing_is_found_by_what_it_is_called(cast: Cast) -> None:
    trace = uuid.uuid4().hex
    (pk,) = submit(cast, external_id="loan-77", user="u-9", trace_id=trace)
    put_in_force(cast, a_document("short-answers"))
    case = open_case(by=make_team(cast).lead, scope=DecisionFilter(), brief=Brief("Late refusals"))
    viewer = cast.actors[Role.VIEWER]
    decision, found_case = ("Decision", "loan-77"), ("Case", f"{case.reference} Late refusals")
    for text in (str(pk), pk.hex, "loan-77", "u-9"):
        assert named(viewer, text) == [decision]
    assert named(viewer, trace) == [decision, ("Trace", trace)]
    for text in ("c-1", "1", "refusal"):
        assert found_case in named(viewer, text)
    assert [kind for kind, _ in named(viewer, "short")] == ["Policy"]


def test_the_only_exact_thing_is_gone_to(cast: Cast) -> None:
    (pk,) = submit(cast)
    client, address = browser(cast.people[Role.VIEWER]), url(cast, "go")
    assert client.get(address, {"q": str(pk)}).headers["Location"] == url(cast, "decision-detail", pk)
    assert "Nothing bears this name" in text_of(client.get(address, {"q": "nothing"}))
    assert "U+0000" not in text_of(client.get(address, {"q": "a\0b"}))
    part = client.get(address, {"q": str(pk)}, headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert text_of(part).count('role="option"') == 1


def test_what_somebody_may_not_see_does_not_bear_a_name(cast: Cast, stranger: Cast) -> None:
    (pk,) = submit(cast)
    open_case(by=make_team(cast).lead, scope=DecisionFilter(), brief=Brief("Late refusals"))
    for text in (str(pk), "C-1", "Late"):
        assert named(stranger.owner, text) == named(cast.actors[Role.EXTERNAL_AUDITOR], text) == []


def test_a_search_costs_the_same_queries_at_any_size(cast: Cast) -> None:
    counts = []
    for _ in range(2):
        submit(cast, 6, user="u-many")
        with tenant_atomic(cast.tenant.pk), CaptureQueriesContext(connection) as captured:
            assert len(find(cast.owner, "any", "u-many")) == EACH
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 8
