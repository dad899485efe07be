"""The bell: each member is told of what is theirs, once, until they have read it; and it does not grow."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.http import Http404
from django.test.utils import CaptureQueriesContext

from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.models import Notification
from tenants.notices import feed
from tenants.roles import Role
from tenants.webhooks.catalogue import EventType, Notice
from tenants.webhooks.publishing import publish
from tests.factories.tenants import Cast
from tests.tenants.test_pages import browser, text_of, url


def happen(cast: Cast, title: str, *people: uuid.UUID, permission: str = "decision.read", n: int = 1) -> None:
    with tenant_atomic(cast.tenant.pk):
        for _ in range(n):
            notice = Notice(EventType.DRIFT_NOTICED, datetime.now(UTC), title, permission=permission, people=people)
            publish(notice, event_id=uuid.uuid4())


def told(cast: Cast, actor: Actor) -> list[str]:
    with tenant_atomic(cast.tenant.pk):
        return list(feed.unread(actor).order_by("id").values_list("title", flat=True))


def test_each_is_told_of_what_is_theirs(cast: Cast, stranger: Cast) -> None:
    auditor, viewer, author = cast.auditor, cast.actors[Role.VIEWER], cast.actors[Role.POLICY_AUTHOR]
    happen(cast, "for all who read decisions")
    happen(cast, "for who may see activity", permission="activity.read")
    happen(cast, "for the author alone", cast.people[Role.POLICY_AUTHOR].pk)
    assert told(cast, viewer) == ["for all who read decisions"]
    assert told(cast, auditor) == ["for all who read decisions", "for who may see activity"]
    assert told(cast, author) == ["for all who read decisions", "for the author alone"]
    assert told(cast, cast.actors[Role.EXTERNAL_AUDITOR]) == []
    assert told(stranger, stranger.owner) == []


def test_the_same_event_is_kept_once(cast: Cast) -> None:
    event_id, notice = uuid.uuid4(), Notice(EventType.DRIFT_NOTICED, datetime.now(UTC), "Once\nonly")
    with tenant_atomic(cast.tenant.pk):
        publish(notice, event_id=event_id)
        publish(notice, event_id=event_id)
    assert told(cast, cast.owner) == ["Once only"]


def test_what_was_read_stays_read_and_only_for_its_reader(cast: Cast, stranger: Cast) -> None:
    client = browser(cast.people[Role.AUDITOR])
    happen(cast, "first")
    page = text_of(client.get(url(cast, "notification-list")))
    assert "Notifications, 1 new" in page
    with tenant_atomic(cast.tenant.pk):
        first = Notification.objects.get().pk
    happen(cast, "second")
    client.post(url(cast, "notification-read"), {"read_to": str(first)})
    assert told(cast, cast.auditor) == ["second"]
    assert told(cast, cast.owner) == ["first", "second"]
    client.post(url(cast, "notification-read"), {"read_to": "nothing"})
    with pytest.raises(Http404), tenant_atomic(stranger.tenant.pk):
        feed.mark_read(by=stranger.owner, read_to=first)


def test_a_mark_never_goes_back(cast: Cast) -> None:
    happen(cast, "one", n=2)
    with tenant_atomic(cast.tenant.pk):
        first, last = Notification.objects.order_by("id").values_list("pk", flat=True)
    for pk in (last, first):
        feed.mark_read(by=cast.owner, read_to=pk)
    assert told(cast, cast.owner) == []


def test_the_page_goes_on_to_older_ones_at_the_same_cost(cast: Cast) -> None:
    client, page = browser(cast.people[Role.VIEWER]), url(cast, "notification-list")
    client.get(page)
    counted = []
    for n in (3, 60):
        happen(cast, "again", n=n)
        with CaptureQueriesContext(connections["default"]) as captured:
            shown = text_of(client.get(page))
        counted.append(len(captured))
    assert counted[0] == counted[1] <= 20
    assert "more than 9 new" in shown
    assert shown.count("<b>again</b>") == feed.PAGE_SIZE
    with tenant_atomic(cast.tenant.pk):
        before = Notification.objects.order_by("-id")[feed.PAGE_SIZE - 1].pk
    assert text_of(client.get(f"{page}?before={before}")).count("<b>again</b>") == 13


def test_a_page_of_an_earlier_version_is_no_link(cast: Cast) -> None:
    with tenant_atomic(cast.tenant.pk):
        notice = Notice(EventType.DRIFT_NOTICED, datetime.now(UTC), "Moved", page=("no-such-page", "1"))
        publish(notice, event_id=uuid.uuid4())
    shown = text_of(browser(cast.people[Role.VIEWER]).get(url(cast, "notification-list")))
    assert "<b>Moved</b></span>" in shown


def test_what_is_old_or_too_much_is_forgotten(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_KEPT", 3)
    happen(cast, "x", n=5)
    assert feed.forget_notifications(cast.tenant.pk) == 2
    assert feed.forget_notifications(cast.tenant.pk, datetime.now(UTC) + timedelta(days=61)) == 3
