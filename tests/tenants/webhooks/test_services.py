"""Endpoints: made, changed and ended by those who may, each step in the ledger, nothing readable at rest."""

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connections
from django.http import Http404
from django.test import override_settings

from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.models import LedgerEvent, WebhookDelivery, WebhookEndpoint
from tenants.roles import Role
from tenants.webhooks import services
from tenants.webhooks.services import EndpointTerms, NewSecret
from tests.factories.tenants import Cast

URL = "https://hooks.example.com/in?token=open-sesame"


def an_endpoint(cast: Cast, name: str = "On call", **more: object) -> NewSecret:
    return services.create_endpoint(by=cast.owner, terms=EndpointTerms(name, URL, **more))  # type: ignore[arg-type]


def leaves(cast: Cast, tag: Tag) -> list[bytes]:
    with tenant_atomic(cast.tenant.pk):
        return [bytes(body) for body in LedgerEvent.objects.filter(tag=tag).values_list("body", flat=True)]


def test_every_step_is_a_leaf_and_no_leaf_holds_a_secret(cast: Cast) -> None:
    made = an_endpoint(cast)
    pk = made.row.pk
    services.change_endpoint(by=cast.owner, pk=pk, terms=EndpointTerms("On call, nights", ""))
    again = services.rotate_secret(by=cast.owner, pk=pk)
    services.disable_endpoint(by=cast.owner, pk=pk, reason="Moved.")
    services.enable_endpoint(by=cast.owner, pk=pk)
    services.remove_endpoint(by=cast.owner, pk=pk)
    tags = [tag for tag in Tag if tag.startswith("webhook_endpoint.")]
    bodies = [leaves(cast, tag) for tag in tags]
    assert [len(found) for found in bodies] == [1] * len(tags)
    text = b"".join(body for found in bodies for body in found).decode()
    assert not any(secret in text for secret in (made.secret, again.secret, "open-sesame"))


def test_address_and_secret_are_sealed_at_rest(cast: Cast) -> None:
    made = an_endpoint(cast)
    with tenant_atomic(cast.tenant.pk), connections["default"].cursor() as cursor:
        cursor.execute("SELECT row(e.*)::text FROM tenants_webhookendpoint e WHERE id = %s", [made.row.pk])
        (text,) = cursor.fetchone()
    assert b"open-sesame".hex() not in text
    assert made.secret.encode().hex() not in text


def test_steps_taken_twice_change_nothing_more(cast: Cast) -> None:
    pk = an_endpoint(cast).row.pk
    for _ in range(2):
        services.disable_endpoint(by=cast.owner, pk=pk)
    for _ in range(2):
        services.enable_endpoint(by=cast.owner, pk=pk)
    assert len(leaves(cast, Tag.WEBHOOK_DISABLED)) == len(leaves(cast, Tag.WEBHOOK_ENABLED)) == 1


@pytest.mark.parametrize(
    "terms",
    [EndpointTerms("", URL), EndpointTerms("x", "http://hooks.example.com/"), EndpointTerms("x", "https://10.0.0.1/"),
     EndpointTerms("x", URL, kind="pager"), EndpointTerms("x", URL, event_types=["case.exploded"]),
     EndpointTerms("x", "a@example.com", kind="email")],
    ids=["no name", "http", "inside", "no such kind", "no such event", "no mail server"],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(cast: Cast, terms: EndpointTerms) -> None:
    with pytest.raises(ValidationError):
        services.create_endpoint(by=cast.owner, terms=terms)


def test_a_mailbox_can_be_told_where_there_is_a_mail_server(cast: Cast) -> None:
    terms = EndpointTerms("Us", "ops@example.com", kind="email")
    with override_settings(EMAIL_HOST="localhost"):
        made = services.create_endpoint(by=cast.owner, terms=terms)
    assert (made.secret, made.row.shown) == ("", "ops@example.com")


def test_names_are_told_apart_and_their_number_is_bounded(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    an_endpoint(cast)
    with pytest.raises(ValidationError, match="already"):
        an_endpoint(cast)
    monkeypatch.setattr(services, "MOST_ENDPOINTS", 1)
    with pytest.raises(ValidationError, match="remove one"):
        an_endpoint(cast, "Another")


def test_others_neither_change_nor_find_it(cast: Cast, stranger: Cast) -> None:
    pk = an_endpoint(cast).row.pk
    with pytest.raises(PermissionDenied):
        services.ping_endpoint(by=cast.actors[Role.AUDITOR], pk=pk)
    for step in (services.ping_endpoint, services.rotate_secret, services.enable_endpoint, services.remove_endpoint):
        with pytest.raises(Http404):
            step(by=stranger.owner, pk=pk)


def test_what_was_sent_goes_with_the_endpoint(cast: Cast) -> None:
    pk = an_endpoint(cast).row.pk
    services.ping_endpoint(by=cast.owner, pk=pk)
    services.remove_endpoint(by=cast.owner, pk=pk)
    with tenant_atomic(cast.tenant.pk):
        assert (WebhookEndpoint.objects.count(), WebhookDelivery.objects.count()) == (0, 0)
