"""API keys at the edge: from headers to an actor, the cheap checks first.

Real clients send a key in three ways, so all are read: `Authorization: Bearer <key>`, `Authorization: Basic
<public>:<secret>` (base64; the public part is the key's prefix), and `x-api-key: <key>`.
"""

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from tenants.actors import Actor, Kind
from tenants.context import tenant_atomic
from tenants.metering import OverLimit, Plan, admit, plan_for
from tenants.models import ApiKey, Scope
from tenants.services import KEY_PREFIX

CACHE_SECONDS = 3.0  # a revoked key stops within this time
TOUCH_EVERY = timedelta(minutes=1)
CACHE_SIZE = 10_000

# What each scope allows, in permission codenames.
SCOPE_PERMISSIONS: Mapping[str, frozenset[str]] = {
    Scope.INGEST: frozenset({"decision.write", "evaluation.ask", "feedback.write", "event.write"}),
    Scope.READ: frozenset({"decision.read", "decision.read_payload", "ledger.read", "policy.read", "case.read"}),
    Scope.DIRECTORY: frozenset({"member.manage"}),  # without `tenant.manage`: owners are not its to make
    Scope.MANAGE: frozenset(
        {
            "decision.read",
            "ledger.read",
            "policy.read",
            "case.read",
            "erasure.read",
            "hold.read",
            "hold.place",  # a matter's system places them; releasing is a person's
            "erasure.request",  # a privacy portal files it; approving is a person's
            "case.create",  # a monitor opens one, and names the person who leads it
            "policy.draft",
            "policy.submit",
            "policy.activate",  # what people approved; approving is a person's
            "policy.backtest",
            "source.manage",
            "webhook.manage",
            "budget.manage",
            "price.manage",
        }
    ),
}


class KeyRefused(Exception):
    """No key, or none that opens anything; the message is for the caller and tells nothing of what exists."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A key as it came in, taken apart; nothing is known of it yet."""

    tenant_id: uuid.UUID
    prefix: str
    secret: str


@dataclass(frozen=True, slots=True)
class Known:
    """A key that was looked up: whose it is, and what it may use."""

    at: float
    actor: Actor
    plan: Plan


_cache: dict[tuple[str, bytes, str], Known] = {}


def presented_key(authorization: str, x_api_key: str) -> Presented:
    """Take a key from the two headers; raises `KeyRefused` with what to send instead."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        return parse_key(_basic(value.strip()))
    if scheme.lower() == "bearer":
        return parse_key(value.strip())
    if text := x_api_key or authorization:
        return parse_key(text.strip())
    raise KeyRefused("Send your key as `Authorization: Bearer <key>`.")


def _basic(value: str) -> str:
    try:
        public, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # no base64, or not of UTF-8
        raise KeyRefused("The Basic credentials are not base64 of <public>:<secret>.") from None
    return secret if secret.startswith(f"{KEY_PREFIX}_") else f"{public}_{secret}"


def parse_key(text: str) -> Presented:
    """`aff_<tenant and key id>_<secret>`, checked for form only."""
    parts = text.split("_")
    if len(parts) == 3 and parts[0] == KEY_PREFIX:
        padded = parts[1].upper() + "=" * (-len(parts[1]) % 8)
        try:
            raw = base64.b32decode(padded)
        except ValueError:
            raw = b""
        if len(raw) == 21:
            return Presented(uuid.UUID(bytes=raw[:16]), f"{parts[0]}_{parts[1]}", parts[2])
    raise KeyRefused("This is not an Affidavit key; it should look like aff_…_….")


def authenticate(headers: Mapping[str, str], *, using: str = "default") -> Actor:
    """The program behind a request's headers (`Authorization`, `X-Api-Key`); raises `KeyRefused`, `OverLimit`.

    An answer is kept for a few seconds, so that a busy client does not cost a query a request.
    """
    presented = presented_key(headers.get("Authorization", ""), headers.get("X-Api-Key", ""))
    digest = hashlib.sha256(presented.secret.encode()).digest()
    known = _cache.get((presented.prefix, digest, using))
    now = time.monotonic()
    if known is None or now - known.at >= CACHE_SECONDS:
        known = _look_up(presented, digest, using, now)
        if len(_cache) > CACHE_SIZE:
            _cache.clear()
        _cache[presented.prefix, digest, using] = known
    admit(known.plan)
    return known.actor


def _look_up(presented: Presented, digest: bytes, using: str, at: float) -> Known:
    now = datetime.now(UTC)
    with tenant_atomic(presented.tenant_id, using=using):
        rows = ApiKey.objects.using(using)
        key = rows.filter(prefix=presented.prefix).select_related("tenant").first()
        if key is None or not hmac.compare_digest(bytes(key.secret_sha256), digest):
            raise KeyRefused("This key is not known.")
        if not key.is_live(now):
            raise KeyRefused("This key has expired or was revoked; ask for a new one.")
        if key.last_used_at is None or now - key.last_used_at > TOUCH_EVERY:
            rows.filter(pk=key.pk).update(last_used_at=now)
    permissions = frozenset().union(*(SCOPE_PERMISSIONS[scope] for scope in key.scopes))
    actor = Actor(Kind.KEY, presented.tenant_id, key.name, permissions, key_id=key.pk, source_id=key.source_id)
    plan = plan_for(
        tenant_id=presented.tenant_id,
        key_id=key.pk,
        writes=Scope.INGEST in key.scopes,
        records=key.tenant.records_per_second,
        requests=key.tenant.requests_per_second,
    )
    return Known(at, actor, plan)


class ApiKeyAuthentication(BaseAuthentication):
    """DRF's door to the same check; `request.user` is None and `request.auth` the actor."""

    def authenticate(self, request: Request) -> tuple[Any, Actor]:
        try:
            return None, authenticate(request.headers)
        except KeyRefused as error:
            raise AuthenticationFailed(str(error)) from None
        except OverLimit as error:
            raise Throttled(wait=error.retry_after, detail=str(error)) from None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="affidavit"'


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document tells of a key."""

    target_class = "tenants.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: `aff_…_…`. `x-api-key` works too."}
