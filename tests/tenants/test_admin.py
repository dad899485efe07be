"""The back office: members look, nobody changes, and nobody sees another tenant."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from tenants.admin import ReadOnlyAdmin
from tenants.context import tenant_atomic
from tenants.models import ApiKey, LedgerEvent, User
from tenants.roles import Role
from tests.factories.tenants import Cast, UserFactory
from tests.tenants.test_pages import browser, text_of

MODELS = ("user", "membership", "sourcesystem", "apikey", "ledgerevent")


@pytest.mark.parametrize("role", Role.values)
def test_every_member_may_open_the_door(cast: Cast, role: str) -> None:
    assert browser(cast.people[role]).get("/admin/").status_code == 200


def test_without_a_seat_there_is_nothing() -> None:
    assert browser(UserFactory.create()).get("/admin/").status_code == 404


def test_sign_in_is_the_one_with_the_limit() -> None:
    assert Client().get("/admin/login/?next=/admin/").headers["Location"] == "/accounts/login/?next=/admin/"


@pytest.mark.parametrize("model", MODELS)
def test_an_administrator_sees_this_tenant_and_no_other(cast: Cast, stranger: Cast, model: str) -> None:
    page = text_of(browser(cast.people[Role.ADMIN]).get(reverse(f"admin:tenants_{model}_changelist")))
    foreign = [stranger.people[Role.OWNER].email, str(stranger.tenant.pk), stranger.keys["read"].row.prefix]
    assert not [text for text in foreign if text in page]
    assert browser(cast.people[Role.VIEWER]).get(reverse(f"admin:tenants_{model}_changelist")).status_code == 403


def test_an_event_shows_what_it_says_and_a_key_shows_no_secret(cast: Cast) -> None:
    client = browser(cast.people[Role.ADMIN])
    with tenant_atomic(cast.tenant.pk):
        event = LedgerEvent.objects.filter(tag="key.created")[0]
        key = ApiKey.objects.all()[0]
    assert key.prefix in text_of(client.get(reverse("admin:tenants_ledgerevent_changelist")))
    assert "key.created" in text_of(client.get(reverse("admin:tenants_ledgerevent_change", args=[event.pk])))
    page = text_of(client.get(reverse("admin:tenants_apikey_change", args=[key.pk])))
    assert key.prefix in page
    assert bytes(key.secret_sha256).hex() not in page


def test_a_foreign_row_is_not_there(cast: Cast, stranger: Cast) -> None:
    address = reverse("admin:tenants_apikey_change", args=[stranger.keys["read"].row.pk])
    assert browser(cast.people[Role.ADMIN]).get(address).status_code in {302, 404}
    person = reverse("admin:tenants_user_change", args=[stranger.people[Role.OWNER].pk])
    assert browser(cast.people[Role.ADMIN]).get(person).status_code in {302, 404}


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_added_changed_or_deleted(cast: Cast, model: str) -> None:
    client = browser(cast.people[Role.OWNER])
    assert client.get(reverse(f"admin:tenants_{model}_add")).status_code == 403
    person = User.objects.get(pk=cast.people[Role.VIEWER].pk)
    for verb in ("change", "delete"):
        answer = client.post(
            reverse(f"admin:tenants_user_{verb}", args=[person.pk]), {"email": "x@example.org", "post": "yes"}
        )
        assert answer.status_code == 403
    assert User.objects.get(pk=person.pk).email == person.email


def test_every_registered_model_is_read_only() -> None:
    ours = [row for model, row in admin.site._registry.items() if model._meta.app_label == "tenants"]
    assert len(ours) == len(MODELS)
    assert all(isinstance(row, ReadOnlyAdmin) for row in ours)
