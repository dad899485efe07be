"""Saved views: one's own, shared with everybody of the organisation, nobody else's."""

from django.test import Client

from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.test_pages import browser, text_of, url
from tests.traces.test_views import queries
from traces.models import SavedView
from traces.search.saved import MOST_VIEWS, save_view


def save(cast: Cast, role: str, **form: str) -> Client:
    client = browser(cast.people[role])
    client.post(url(cast, "view-save"), form)
    return client


def listed(cast: Cast, role: str) -> str:
    return text_of(browser(cast.people[role]).get(url(cast, "decision-list")))


def test_a_view_is_its_owners_until_it_is_shared(cast: Cast) -> None:
    submit(cast)
    save(cast, Role.AUDITOR, name="Mine alone", user="u-1032")
    save(cast, Role.AUDITOR, name="For all", user="u-1032", is_shared="on")
    assert "Mine alone" in listed(cast, Role.AUDITOR)
    assert "Mine alone" not in listed(cast, Role.VIEWER)
    assert "For all" in listed(cast, Role.VIEWER)
    assert "?user=u-1032" in listed(cast, Role.VIEWER)


def test_a_stranger_sees_no_shared_view(cast: Cast, stranger: Cast) -> None:
    submit(stranger)
    save(cast, Role.AUDITOR, name="For all", user="u-1032", is_shared="on")
    assert "For all" not in listed(stranger, Role.AUDITOR)


def test_only_the_owner_removes_a_view(cast: Cast) -> None:
    client = save(cast, Role.AUDITOR, name="For all", user="u-1032", is_shared="on")
    with tenant_atomic(cast.tenant.pk):
        (view,) = SavedView.objects.all()
    assert browser(cast.people[Role.OWNER]).post(url(cast, "view-remove", view.pk)).status_code == 404
    assert client.post(url(cast, "view-remove", view.pk)).status_code == 302
    with tenant_atomic(cast.tenant.pk):
        assert not SavedView.objects.exists()


def test_what_says_nothing_is_not_kept(cast: Cast) -> None:
    for form in (
        {"name": "x"},
        {"name": " ", "user": "u"},
        {"name": "x", "since": "soon"},
        {"name": "x", "user": "\0"},
    ):
        save(cast, Role.AUDITOR, **form)
    save(cast, Role.AUDITOR, name="Twice", user="u")
    save(cast, Role.AUDITOR, name="Twice", user="v")
    with tenant_atomic(cast.tenant.pk):
        assert [view.name for view in SavedView.objects.all()] == ["Twice"]


def test_many_views_cost_no_more_queries(cast: Cast) -> None:
    submit(cast)
    client, counts = browser(cast.people[Role.AUDITOR]), []
    for n in (1, MOST_VIEWS - 5):
        for i in range(n):
            save_view(by=cast.auditor, name=f"{n} {i}", query={"user": f"u{n}{i}"}, is_shared=False)
        counts.append(queries(lambda: client.get(url(cast, "decision-list"))))
    assert counts[0] == counts[1]
