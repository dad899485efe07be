"""The doors of a tenant: who has a seat, until when, and that a closed door closes at once."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.urls import reverse

from tenants.access import get_row, require, seats_of
from tenants.context import tenant_atomic
from tenants.models import Membership, SourceSystem
from tenants.roles import PERMISSIONS, Role
from tests.factories.tenants import Cast
from tests.tenants.test_pages import browser, url


def end_seat(cast: Cast, role: str, at: datetime) -> None:
    with tenant_atomic(cast.tenant.pk):
        assert Membership.objects.filter(user=cast.people[role]).update(expires_at=at) == 1


def test_a_seat_is_there_until_its_moment(cast: Cast) -> None:
    person, end = cast.people[Role.EXTERNAL_AUDITOR], datetime(2026, 12, 1, tzinfo=UTC)
    end_seat(cast, Role.EXTERNAL_AUDITOR, end)
    (seat,) = seats_of(person.pk, now=end - timedelta(microseconds=1))
    assert (seat.tenant_id, seat.roles) == (cast.tenant.pk, (Role.EXTERNAL_AUDITOR,))
    assert seats_of(person.pk, now=end) == []


def test_a_seat_that_ends_closes_the_session_that_is_open(cast: Cast) -> None:
    """I8: in the middle of a session, with the next request."""
    client = browser(cast.people[Role.EXTERNAL_AUDITOR])
    assert client.get(url(cast, "tenant-home")).status_code == 200
    end_seat(cast, Role.EXTERNAL_AUDITOR, datetime.now(UTC))
    assert client.get(url(cast, "tenant-home")).status_code == 404
    assert client.get("/admin/").status_code == 404


def test_a_disabled_person_is_signed_out_with_the_next_request(cast: Cast) -> None:
    person = cast.people[Role.VIEWER]
    client = browser(person)
    assert client.get(url(cast, "tenant-home")).status_code == 200
    person.is_active = False
    person.save(update_fields=["is_active"])
    answer = client.get(url(cast, "tenant-home"))
    assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, reverse("account_login"))


def test_a_changed_role_counts_at_once(cast: Cast) -> None:
    client = browser(cast.people[Role.VIEWER])
    assert client.get(url(cast, "api-key-list")).status_code == 403
    with tenant_atomic(cast.tenant.pk):
        Membership.objects.filter(user=cast.people[Role.VIEWER]).update(roles=[Role.ADMIN])
    assert client.get(url(cast, "api-key-list")).status_code == 200


def test_signing_in_gives_the_session_a_new_name(cast: Cast) -> None:
    """Session fixation: whoever planted a cookie does not share the session that follows."""
    client = browser(cast.people[Role.VIEWER])
    before = client.cookies["sessionid"].value
    client.force_login(cast.people[Role.AUDITOR], backend="django.contrib.auth.backends.ModelBackend")
    assert client.cookies["sessionid"].value != before


@pytest.mark.parametrize("role", Role.values)
def test_a_permission_is_held_or_refused_by_name(cast: Cast, role: str) -> None:
    held = PERMISSIONS[Role(role)]
    for permission in set().union(*PERMISSIONS.values()):
        if permission in held:
            require(cast.actors[role], permission)
        else:
            with pytest.raises(PermissionDenied, match=permission):
                require(cast.actors[role], permission)


def test_a_missing_a_foreign_and_a_senseless_key_are_one_answer(cast: Cast, stranger: Cast) -> None:
    with tenant_atomic(cast.tenant.pk):
        assert get_row(SourceSystem.objects.all(), pk=cast.source.pk).name == "loan-app"
        told = set()
        for pk in (stranger.source.pk, uuid.uuid4(), "no uuid", None):
            with pytest.raises(Http404) as refused:
                get_row(SourceSystem.objects.all(), pk=pk)
            told.add(str(refused.value))
    assert told == {"No such source system."}
