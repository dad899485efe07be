"""The door: passwords, codes, what an organisation asks for, and what its log says of who came."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.signing import prove
from tenants.assurance import SignInRules
from tenants.context import tenant_atomic
from tenants.factors import take_totp
from tenants.models import ApiKey, LedgerEvent, User
from tenants.roles import Role
from tenants.services import add_member
from tenants.sign_in_rules import set_sign_in_rules
from tenants.tasks import record_refused_sign_ins
from tests.factories.tenants import PASSWORD, Cast, UserFactory
from tests.invariants.worlds import superuser

LOGIN, CODE = "/accounts/login/", "/accounts/security/authenticate/"


def text_of(response: Any) -> str:
    return str(response.content.decode())


def sign_in(user: User, client: Client | None = None, *, password: str = PASSWORD, place: str = "127.0.0.1") -> Any:
    client = client or Client()
    return client.post(LOGIN, {"login": user.email, "password": password}, REMOTE_ADDR=place)


def signed_in(user: User) -> Client:
    client = Client()
    assert sign_in(user, client).status_code == 302
    return client


def code_of(secret: str, ahead: int = 0) -> str:
    """What the app shows, or will show in so many half minutes."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead)))


def set_up_app(client: Client) -> tuple[str, list[str]]:
    """The secret, and the recovery codes that come with it. Spends the code before this moment's."""
    page = text_of(client.get(reverse("mfa_activate_totp")))
    found = re.search(r'id="totp-secret"[^>]*>\s*([A-Z2-7]{32})', page)
    assert found, page
    answer = client.post(reverse("mfa_activate_totp"), {"code": code_of(found[1], -1)}, follow=True)
    return found[1], re.findall(r"^(?:.*>)?([0-9a-z]{8,10})$", text_of(answer), flags=re.MULTILINE)


def told(cast: Cast, tag: str) -> list[dict[str, Any]]:
    """What the organisation's log says under a tag."""
    with tenant_atomic(cast.tenant.pk):
        return [json.loads(bytes(event.body)) for event in LedgerEvent.objects.filter(tag=tag).order_by("id")]


@contextmanager
def as_worker() -> Iterator[None]:
    """With the login of the process that does it."""
    web = connections["default"]
    connections["default"] = connections["worker"]
    try:
        yield
    finally:
        connections["default"] = web


@pytest.fixture
def viewer(cast: Cast) -> User:
    return cast.people[Role.VIEWER]


# --- Passwords ------------------------------------------------------------------------------------------------------


def test_ten_wrong_passwords_close_the_door_for_that_address_and_place_only(cast: Cast, viewer: User) -> None:
    for _ in range(10):
        assert "not correct" in text_of(sign_in(viewer, password="wrong", place="10.0.0.1"))
    assert "Too many attempts" in text_of(sign_in(viewer, place="10.0.0.1"))
    assert sign_in(viewer, place="10.0.0.2").status_code == 302  # nobody is locked out by another
    assert sign_in(cast.people[Role.AUDITOR], place="10.0.0.1").status_code == 302


def test_one_password_is_not_tried_on_everybody(cast: Cast) -> None:
    strangers = [User(email=f"nobody-{n}@{cast.tenant.slug}.example.org") for n in range(60)]
    answers = [text_of(sign_in(one, password="Winter2026!!", place="10.0.0.9")) for one in strangers]
    assert "Too many attempts" not in answers[58]
    assert "Too many attempts" in text_of(sign_in(cast.people[Role.VIEWER], place="10.0.0.9"))


def test_nothing_tells_who_has_an_account(viewer: User) -> None:
    wrong = text_of(sign_in(viewer, password="wrong", place="10.0.1.1"))
    unknown = text_of(sign_in(User(email="nobody@example.org"), password="wrong", place="10.0.1.1"))
    hidden = r'value="[^"]*"'
    assert re.sub(hidden, "", wrong) == re.sub(hidden, "", unknown)


def test_a_session_gets_a_new_key_at_the_door(viewer: User) -> None:
    client = Client()
    client.get(LOGIN)
    session = client.session
    session["planted"] = True
    session.save()
    sign_in(viewer, client)
    assert client.session.session_key != session.session_key


def test_a_closed_account_does_not_come_in(viewer: User) -> None:
    viewer.is_active = False
    viewer.save(update_fields=["is_active"])
    client = Client()
    sign_in(viewer, client)
    assert client.get("/").status_code == 302
    assert client.get("/")["Location"].startswith(LOGIN)


def test_every_organisation_of_the_person_is_told_and_no_other(cast: Cast, stranger: Cast, viewer: User) -> None:
    add_member(by=stranger.owner, user=viewer, roles=[Role.VIEWER])
    signed_in(viewer)
    sign_in(viewer, password="wrong", place="10.0.2.1")
    with as_worker():
        assert record_refused_sign_ins() >= 2
    for one in (cast, stranger):
        assert [body["methods"] for body in told(one, "person.signed_in")] == [["password"]]
        assert [body["method"] for body in told(one, "person.sign_in_refused")] == ["password"]
    with as_worker():
        record_refused_sign_ins()
    assert len(told(cast, "person.sign_in_refused")) == 1


def test_a_changed_password_ends_the_other_sessions(cast: Cast, viewer: User) -> None:
    here, there = signed_in(viewer), signed_in(viewer)
    new = "another staple of horses"
    data = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post(reverse("account_change_password"), data).status_code == 302
    home = reverse("tenant-home", args=[cast.tenant.slug])
    assert (here.get(home).status_code, there.get(home).status_code) == (200, 302)
    assert told(cast, "password.changed") == [
        {"by": f"person:{viewer.pk}", "label": str(viewer), "user": str(viewer.pk), "method": "password"}
    ]


# --- The second factor ----------------------------------------------------------------------------------------------


def test_an_app_is_set_up_and_asked_for(cast: Cast, viewer: User) -> None:
    secret, recovery = set_up_app(signed_in(viewer))
    assert len(recovery) == 10
    client = Client()
    assert sign_in(viewer, client)["Location"].startswith(CODE)
    assert client.get("/")["Location"].startswith(LOGIN)  # not in yet
    assert "not correct" in text_of(client.post(CODE, {"code": "000000"}))
    assert client.post(CODE, {"code": code_of(secret)}).status_code == 302
    assert client.get(reverse("tenant-home", args=[cast.tenant.slug])).status_code == 200
    assert told(cast, "person.signed_in")[-1]["methods"] == ["password", "totp"]
    assert [body["method"] for body in told(cast, "second_factor.added")] == ["totp"]


def test_a_code_opens_once_even_while_the_library_has_forgotten_it(viewer: User) -> None:
    secret, _ = set_up_app(signed_in(viewer))
    ahead = code_of(secret, 1)  # taken for a minute from now, remembered by the library for half of one
    client = Client()
    sign_in(viewer, client)
    assert client.post(CODE, {"code": ahead}).status_code == 302
    cache.delete(f"allauth.mfa.totp.used?user={viewer.pk}&code={ahead}")
    again = Client()
    sign_in(viewer, again)
    assert "not correct" in text_of(again.post(CODE, {"code": ahead}))


def test_a_recovery_code_opens_once(cast: Cast, viewer: User) -> None:
    _, recovery = set_up_app(signed_in(viewer))
    statuses = []
    for _ in range(2):
        client = Client()
        sign_in(viewer, client)
        statuses.append(client.post(CODE, {"code": recovery[0]}).status_code)
    assert statuses == [302, 200]
    assert told(cast, "person.signed_in")[-1]["methods"] == ["password", "recovery_codes"]


def test_the_secret_lies_sealed_in_the_database(viewer: User) -> None:
    secret, recovery = set_up_app(signed_in(viewer))
    with superuser() as connection:
        rows = connection.execute("SELECT data::text FROM mfa_authenticator WHERE user_id = %s", [viewer.pk]).fetchall()
    assert len(rows) == 2
    assert not [text for (text,) in rows for known in (secret, *recovery) if known in text]


def test_guessing_codes_is_ended(viewer: User) -> None:
    secret, _ = set_up_app(signed_in(viewer))
    client = Client()
    sign_in(viewer, client)
    answers = [text_of(client.post(CODE, {"code": f"{n:06}"})) for n in range(12)]
    assert "Too many" in answers[-1]
    assert client.post(CODE, {"code": code_of(secret)}).status_code == 200


def test_a_factor_is_changed_by_who_has_just_shown_who_they_are(viewer: User, settings: Any) -> None:
    client = signed_in(viewer)
    set_up_app(client)
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0
    for name in ("mfa_deactivate_totp", "mfa_generate_recovery_codes"):
        response = client.post(reverse(name))
        assert response.status_code == 302
        assert re.match("/accounts/(confirm|security/reauthenticate)/", response["Location"]), response["Location"]
    assert Authenticator.objects.filter(user=viewer).count() == 2


@pytest.mark.parametrize("name", ["api-key-list", "member-list", "sign-in-rules"])
def test_rights_are_given_by_who_has_just_shown_who_they_are(cast: Cast, settings: Any, name: str) -> None:
    client, page = signed_in(cast.people[Role.OWNER]), reverse(name, args=[cast.tenant.slug])
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0
    before = len(cast_keys(cast))
    answer = client.post(page, {"name": "new", "scopes": ["read"]})
    assert answer["Location"].startswith("/accounts/confirm/?next=")
    assert "Confirm that it is you" in text_of(client.get(answer["Location"]))
    assert client.get(page).status_code == 200
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
    assert client.post(answer["Location"], {"password": PASSWORD})["Location"] == page
    assert len(cast_keys(cast)) == before
    assert client.post(page, {"name": "new", "scopes": ["read"]}).status_code in {200, 302}


def cast_keys(cast: Cast) -> list[ApiKey]:
    with tenant_atomic(cast.tenant.pk):
        return list(ApiKey.objects.all())


def test_a_signature_asks_whoever_has_an_app_for_its_code(viewer: User, cast: Cast) -> None:
    assert prove(viewer, {"password": PASSWORD}) == ["password"]
    secret, _ = set_up_app(signed_in(viewer))
    with pytest.raises(ValidationError) as refused:
        prove(viewer, {"password": PASSWORD})
    assert list(refused.value.message_dict) == ["totp"]
    now = code_of(secret)
    assert prove(viewer, {"password": PASSWORD, "totp": now}) == ["password", "totp"]
    with pytest.raises(ValidationError, match="given before"):
        prove(viewer, {"password": PASSWORD, "totp": now})
    assert prove(cast.people[Role.AUDITOR], {"password": PASSWORD}) == ["password"]


def test_ten_wrong_codes_close_signing_for_a_while(viewer: User) -> None:
    secret, _ = set_up_app(signed_in(viewer))
    assert not any(take_totp(viewer, f"{n:06}") for n in range(10))
    assert not take_totp(viewer, code_of(secret))


# --- What an organisation asks for ----------------------------------------------------------------------------------


def ask_for_factor(cast: Cast, day: str) -> Any:
    data = {"second_factor_from": day, "sso_provider": "", "sso_from": ""}
    return signed_in(cast.people[Role.OWNER]).post(reverse("sign-in-rules", args=[cast.tenant.slug]), data)


def test_an_organisation_asks_for_a_second_factor_of_sessions_that_are_open(cast: Cast, viewer: User) -> None:
    client, home = signed_in(viewer), reverse("tenant-home", args=[cast.tenant.slug])
    assert client.get(home).status_code == 200
    assert ask_for_factor(cast, "2026-01-01").status_code == 302
    assert client.get(home)["Location"] == reverse("admission", args=[cast.tenant.slug])
    assert "Use an authenticator app" in text_of(client.get(home, follow=True))
    set_up_app(client)
    assert client.get(home).status_code == 200
    other = Client()
    sign_in(viewer, other)
    assert other.get(home)["Location"].startswith(LOGIN)
    (rule,) = told(cast, "sign_in_rules.set")
    assert rule["after"]["second_factor_from"] == "2026-01-01T00:00:00+00:00"


def test_another_organisation_is_not_closed_by_it(cast: Cast, stranger: Cast, viewer: User) -> None:
    add_member(by=stranger.owner, user=viewer, roles=[Role.VIEWER])
    client = signed_in(viewer)
    ask_for_factor(cast, "2026-01-01")
    assert client.get(reverse("tenant-home", args=[stranger.tenant.slug])).status_code == 200
    assert client.get(reverse("tenant-home", args=[cast.tenant.slug])).status_code == 302
    assert client.get("/admin/").status_code in {200, 302}


def test_a_day_ahead_is_a_grace(cast: Cast, viewer: User) -> None:
    ask_for_factor(cast, "2999-01-01")
    assert signed_in(viewer).get(reverse("tenant-home", args=[cast.tenant.slug])).status_code == 200


def test_only_an_owner_sets_the_rules(cast: Cast) -> None:
    page = reverse("sign-in-rules", args=[cast.tenant.slug])
    assert signed_in(cast.people[Role.ADMIN]).get(page).status_code == 403
    with pytest.raises(PermissionDenied):
        set_sign_in_rules(by=cast.actors[Role.ADMIN], rules=SignInRules())


def test_the_sign_in_log_is_a_page_that_costs_the_same_however_long(
    cast: Cast, viewer: User, django_assert_num_queries: Any
) -> None:
    auditor, page = signed_in(cast.people[Role.AUDITOR]), reverse("sign-in-list", args=[cast.tenant.slug])
    assert "authenticator app" not in text_of(auditor.get(page))
    set_up_app(signed_in(viewer))
    with CaptureQueriesContext(connection) as few:
        assert "Second factor added" in text_of(auditor.get(page))
    cost = len(few)
    for _ in range(12):
        signed_in(cast.people[Role.OWNER])
    with django_assert_num_queries(cost):
        assert text_of(auditor.get(page)).count("Signed in") >= 12
    assert signed_in(viewer).get(page).status_code in {302, 403}


# --- Sessions -------------------------------------------------------------------------------------------------------


def test_sessions_are_listed_and_ended_by_their_owner_alone(cast: Cast, viewer: User) -> None:
    here, there = signed_in(viewer), signed_in(viewer)
    page = text_of(here.get(reverse("session-list")))
    (other,) = re.findall(r'action="(/accounts/sessions/\d+/end/)"', page)
    assert "This one" in page
    stranger = signed_in(UserFactory.create())
    stranger.post(other)
    home = reverse("tenant-home", args=[cast.tenant.slug])
    assert there.get(home).status_code == 200
    here.post(other)
    assert (there.get(home).status_code, here.get(home).status_code) == (302, 200)
    assert told(cast, "session.ended")[-1]["sessions"] == 1


def test_everywhere_else_at_once(cast: Cast, viewer: User) -> None:
    here, *others = [signed_in(viewer) for _ in range(4)]
    here.post(reverse("session-end-others"))
    home = reverse("tenant-home", args=[cast.tenant.slug])
    assert [client.get(home).status_code for client in (here, *others)] == [200, 302, 302, 302]


def test_nobody_signs_up(cast: Cast) -> None:
    for path in ("/accounts/signup/", "/accounts/password/reset/", "/accounts/email/", "/accounts/3rdparty/"):
        assert Client().get(path).status_code == 404
