"""Thumbs from an application's pages: a key that is public, and opens nothing but that."""

import json
import uuid
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.test import Client

from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tenants.services import create_source
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.tenants.test_pages import browser, text_of, url
from traces.meaning import thumbs
from traces.meaning.thumbs import checked_origin, create_thumb_key, public_text, revoke_thumb_key
from traces.models import Feedback, ThumbKey

SHOP = "https://shop.example.com"


@pytest.fixture
def key(cast: Cast) -> ThumbKey:
    return create_thumb_key(by=cast.owner, name="The shop", source=cast.source, origins=[SHOP])


def send(key: ThumbKey | str, body: Any, *, origin: str = SHOP, method: str = "POST", **more: Any) -> Any:
    address = f"/api/v1/thumbs/{key if isinstance(key, str) else public_text(key)}"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    return client.generic(method, address, data, "application/json", headers={"Origin": origin}, **more)


def given(cast: Cast) -> list[Feedback]:
    with tenant_atomic(cast.tenant.pk):
        return list(Feedback.objects.order_by("id"))


def test_a_visitors_thumb_is_feedback_under_the_keys_name(cast: Cast, key: ThumbKey) -> None:
    (pk,) = submit(cast)
    asked = send(key, b"", method="OPTIONS")
    assert (asked.status_code, asked["Access-Control-Allow-Origin"]) == (204, SHOP)
    told = send(key, {"decision": str(pk), "label": "down", "comment": "Not what I asked."})
    assert (told.status_code, told["Access-Control-Allow-Origin"]) == (201, SHOP)
    assert "Origin" in told["Vary"]
    assert "Access-Control-Allow-Credentials" not in told
    assert not told.cookies
    (row,) = given(cast)
    assert (row.decision_id, row.name, row.label, row.score, row.actor) == (
        pk, "thumbs", "down", -1.0, f"key:{key.pk}"
    )  # fmt: skip
    with tenant_atomic(cast.tenant.pk):
        assert LedgerEvent.objects.filter(tag="feedback.given").count() == 1


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "http://shop.example.com", f"{SHOP}.ev.com", "null", ""]
)
def test_pages_of_another_origin_are_refused_and_told_nothing(cast: Cast, key: ThumbKey, origin: str) -> None:
    (pk,) = submit(cast)
    for method in ("OPTIONS", "POST"):
        told = send(key, {"decision": str(pk), "label": "up"}, origin=origin, method=method)
        assert told.status_code == 403
        assert "Access-Control-Allow-Origin" not in told
    assert given(cast) == []


def test_it_opens_nothing_else(cast: Cast, stranger: Cast, key: ThumbKey) -> None:
    with tenant_atomic(cast.tenant.pk):
        other = create_source(by=cast.owner, name="other")
    elsewhere = create_thumb_key(by=cast.owner, name="Elsewhere", source=other, origins=[SHOP])
    (mine,), (theirs,) = submit(cast), submit(stranger)
    for used, decision in ((elsewhere, mine), (key, theirs), (key, uuid.uuid4())):
        assert send(used, {"decision": str(decision), "label": "up"}).status_code == 404
    assert send(key, b"", method="GET").status_code == 405
    headers = {"Authorization": f"Bearer {public_text(key)}"}
    for address in ("/api/v1/decisions", f"/api/v1/decisions/{mine}", "/api/v1/feedback"):
        assert Client(headers=headers).get(address).status_code in {401, 405}
    assert given(cast) == given(stranger) == []


BODIES = [b"", b"{", b"[]", b"[" * 5_000, b"x" * 10_001, {}, {"label": "up"}, {"decision": "1", "label": "up"},
          {"decision": str(uuid.uuid4()), "label": "good"}, {"decision": str(uuid.uuid4()), "label": 1},
          {"decision": str(uuid.uuid4()), "label": "up", "supersedes": str(uuid.uuid4())},
          {"decision": str(uuid.uuid4()), "label": "up", "comment": "x" * 1_001}]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(body)[:30])
def test_what_is_no_thumb_is_refused(cast: Cast, key: ThumbKey, body: Any) -> None:
    assert send(key, body).status_code == 422


@pytest.mark.parametrize("text", ["", "thumb_", "thumb_aaaa", "aff_x_y", "thumb_" + "a" * 52, "thumb_é"])
def test_what_is_no_key_is_404(text: str) -> None:
    assert send(text or "x", {"decision": str(uuid.uuid4()), "label": "up"}).status_code == 404


def test_a_revoked_key_is_none(cast: Cast, stranger: Cast, key: ThumbKey) -> None:
    (pk,) = submit(cast)
    with pytest.raises(Http404):
        revoke_thumb_key(by=stranger.owner, pk=key.pk)
    for _ in range(2):
        revoke_thumb_key(by=cast.owner, pk=key.pk)
    assert send(key, {"decision": str(pk), "label": "up"}).status_code == 404
    with tenant_atomic(cast.tenant.pk):
        assert LedgerEvent.objects.filter(tag="thumb_key.revoked").count() == 1


def test_no_visitor_and_no_page_gives_more_than_people_do(
    cast: Cast, key: ThumbKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbs, "A_VISITOR", 2)
    monkeypatch.setattr(thumbs, "A_KEY", 3)
    (pk,) = submit(cast)
    body = {"decision": str(pk), "label": "up"}
    told = [send(key, body, REMOTE_ADDR="10.0.0.1").status_code for _ in range(3)]
    told += [send(key, body, REMOTE_ADDR=f"10.0.0.{n}").status_code for n in (2, 3)]
    assert told == [201, 201, 429, 201, 429]
    late = send(key, body, REMOTE_ADDR="10.0.0.1")
    assert (late["Retry-After"], late["Access-Control-Allow-Origin"]) == ("60", SHOP)
    assert len(given(cast)) == 3


@pytest.mark.parametrize("text", ["shop.example.com", "http://shop.example.com", f"{SHOP}/cart", f"{SHOP}?a=1", "*",
                                  "https://*.example.com", "https://a@b.com", "https://", "null", "https://a b.com",
                                  "https://shop.example.com:port"])  # fmt: skip
def test_what_is_no_origin_is_refused(cast: Cast, text: str) -> None:
    with pytest.raises(ValidationError):
        create_thumb_key(by=cast.owner, name="x", source=cast.source, origins=[text])


def test_an_origin_is_as_browsers_send_it() -> None:
    assert checked_origin("HTTPS://Shop.Example.com:443/") == SHOP
    assert checked_origin("http://localhost:5173") == "http://localhost:5173"
    assert checked_origin("https://[::1]:8443") == "https://[::1]:8443"


def test_only_who_manages_keys_makes_one_and_the_page_shows_it(cast: Cast) -> None:
    with pytest.raises(PermissionDenied):
        create_thumb_key(by=cast.auditor, name="x", source=cast.source, origins=[SHOP])
    client = browser(cast.people[Role.OWNER])
    form = {"name": "The shop", "source": str(cast.source.pk), "origins": f"{SHOP}\nhttps://m.example.com"}
    assert client.post(url(cast, "thumb-key-list"), form).status_code == 302
    with tenant_atomic(cast.tenant.pk):
        key = ThumbKey.objects.get()
    assert key.origins == [SHOP, "https://m.example.com"]
    assert public_text(key) in text_of(client.get(url(cast, "thumb-key-list")))
    assert "is no origin" in text_of(
        client.post(url(cast, "thumb-key-list"), form | {"name": "y", "origins": "nowhere"})
    )
    assert client.post(url(cast, "thumb-key-revoke", key.pk)).status_code == 302
