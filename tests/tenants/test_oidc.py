"""OpenID Connect against a provider that runs beside the tests: who comes in, who does not, and what the log says."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from config.identity import social_providers
from tenants.models import User
from tenants.roles import Role
from tests.factories.tenants import Cast, UserFactory
from tests.tenants.oidc_provider import CLIENT, SECRET, Provider, running_provider
from tests.tenants.test_signin import set_up_app, sign_in, signed_in, text_of, told

START = "/accounts/oidc/corp/login/"
ELSEWHERE, LONG_AGO = "owner@elsewhere.example", int(time.time()) - 600


@pytest.fixture
def provider(settings: Settings) -> Iterator[Provider]:
    with running_provider() as running:
        entry = {"id": "corp", "name": "Corporate", "issuer": running.issuer, "client_id": CLIENT}
        entry |= {"client_secret": SECRET}
        settings.SOCIALACCOUNT_PROVIDERS = social_providers(json.dumps([entry | {"domains": ["example.org"]}]))
        yield running


def person(user: User, **more: Any) -> dict[str, Any]:
    return {"sub": f"corp-{user.pk}", "email": user.email, "email_verified": True, "name": user.name} | more


def come_in(client: Client, start: str = START) -> Any:
    """There and back, as a browser goes."""
    there = client.get(start)
    assert there.status_code == 302, text_of(there)
    back = urlsplit(httpx.get(there["Location"]).headers["Location"])
    return client.get(f"{back.path}?{back.query}", follow=True)


def is_in(client: Client, cast: Cast) -> bool:
    return bool(client.get(reverse("tenant-home", args=[cast.tenant.slug])).status_code == 200)


def test_a_member_comes_in_with_what_the_provider_says(cast: Cast, provider: Provider) -> None:
    viewer, client = cast.people[Role.VIEWER], Client()
    assert "Continue with Corporate" in text_of(client.get("/accounts/login/"))
    provider.person = person(viewer, email=viewer.email.upper())
    come_in(client, f"{START}?next=/t/{cast.tenant.slug}/")
    assert is_in(client, cast)
    assert told(cast, "person.signed_in")[-1]["methods"] == ["oidc:corp"]
    assert [body["method"] for body in told(cast, "identity.connected")] == ["oidc:corp"]


def test_a_person_is_known_by_the_providers_own_name_from_then_on(cast: Cast, provider: Provider) -> None:
    viewer = cast.people[Role.VIEWER]
    provider.person = person(viewer)
    come_in(Client())
    provider.person = person(viewer, email="renamed@example.org")
    client = Client()
    come_in(client)
    assert is_in(client, cast)
    provider.person = person(viewer, sub="somebody-else", email="renamed@example.org")
    other = Client()
    assert "No account for you here" in text_of(come_in(other))


def test_a_verified_identity_opens_one_account_whatever_else_it_says(cast: Cast, provider: Provider) -> None:
    """W2: with no second account can one identity approve what it wrote with the first."""
    author, approver = cast.people[Role.POLICY_AUTHOR], cast.people[Role.POLICY_APPROVER]
    provider.person = person(author)
    come_in(Client())
    provider.person = person(author, email=approver.email)
    client = Client()
    come_in(client)
    assert client.session["_auth_user_id"] == str(author.pk)
    connected = SocialAccount.objects.get(user=author)
    with pytest.raises(IntegrityError), transaction.atomic():
        SocialAccount.objects.create(user=approver, provider=connected.provider, uid=connected.uid)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email=author.email)


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email": "owner@elsewhere.example"},
        {"email": "nobody-here@example.org"},
        {"email": None},
    ],
    ids=["unverified", "a domain it may not vouch for", "unknown", "no address"],
)
def test_who_is_not_somebody_here_does_not_come_in(cast: Cast, provider: Provider, claims: dict[str, Any]) -> None:
    viewer, client, before = cast.people[Role.VIEWER], Client(), User.objects.count()
    if claims.get("email") == ELSEWHERE and not User.objects.filter(email=ELSEWHERE).exists():
        UserFactory.create(email=ELSEWHERE)
        before += 1
    provider.person = person(viewer, **claims)
    assert "No account for you here" in text_of(come_in(client))
    assert not is_in(client, cast)
    assert User.objects.count() == before


@pytest.mark.parametrize(
    "lie", [{"aud": "another-client"}, {"iss": "http://127.0.0.1:1"}, {"exp": int(time.time()) - 600}]
)
def test_a_token_that_is_not_for_us_opens_nothing(cast: Cast, provider: Provider, lie: dict[str, Any]) -> None:
    provider.person, provider.lies = person(cast.people[Role.VIEWER]), lie
    client = Client()
    assert "did not sign you in" in text_of(come_in(client))
    assert not is_in(client, cast)


def test_an_answer_belongs_to_the_browser_that_asked_and_is_taken_once(cast: Cast, provider: Provider) -> None:
    provider.person = person(cast.people[Role.VIEWER])
    asked, other = Client(), Client()
    back = urlsplit(httpx.get(asked.get(START)["Location"]).headers["Location"])
    answer = f"{back.path}?{back.query}"
    assert "did not sign you in" in text_of(other.get(answer, follow=True))
    assert not is_in(other, cast)
    asked.get(answer, follow=True)
    assert is_in(asked, cast)
    assert "did not sign you in" in text_of(asked.get(answer, follow=True))


def test_a_closed_account_stays_closed(cast: Cast, provider: Provider) -> None:
    viewer = cast.people[Role.VIEWER]
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    provider.person, client = person(viewer), Client()
    come_in(client)
    assert not is_in(client, cast)


def test_no_provider_but_those_of_the_settings(provider: Provider) -> None:
    assert Client().get("/accounts/oidc/other/login/").status_code == 404


def ask_for_sso(cast: Cast, client: Client) -> Any:
    data = {"second_factor_from": "", "sso_provider": "corp", "sso_from": "2026-01-01"}
    return client.post(reverse("sign-in-rules", args=[cast.tenant.slug]), data)


def test_an_organisation_asks_for_its_provider_and_an_owner_has_a_way_past(cast: Cast, provider: Provider) -> None:
    owner, viewer = signed_in(cast.people[Role.OWNER]), cast.people[Role.VIEWER]
    assert "second factor first" in text_of(ask_for_sso(cast, owner))
    set_up_app(owner)
    assert ask_for_sso(cast, owner).status_code == 302
    client = signed_in(viewer)
    assert not is_in(client, cast)
    home = f"/t/{cast.tenant.slug}/"
    assert "Continue with Corporate" in text_of(client.get(home, follow=True))
    provider.person = person(viewer)
    come_in(client, f"{START}?next={home}")
    assert is_in(client, cast)
    assert is_in(owner, cast)
    assert [body["methods"] for body in told(cast, "person.sso_passed_by")] == [["password", "totp"]]
    assert is_in(owner, cast)
    assert len(told(cast, "person.sso_passed_by")) == 1


@pytest.mark.parametrize("text", ["no json", "{}", '[{"id": "x"}]', '[{"id": "x", "issuer": 3}]'])
def test_settings_that_are_not_understood_stop_the_start(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="AFFIDAVIT_OIDC must be"):
        social_providers(text)


def test_a_password_still_opens_where_no_rule_says_otherwise(cast: Cast, provider: Provider) -> None:
    client = Client()
    assert sign_in(cast.people[Role.VIEWER], client).status_code == 302
    assert is_in(client, cast)
