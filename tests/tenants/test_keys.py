"""Keys of programs: kept as a hash, told apart by their prefix, rotated with an overlap, ended at their time."""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from hypothesis import given
from hypothesis import strategies as st

from tenants import authentication
from tenants.authentication import SCOPE_PERMISSIONS, KeyRefused, authenticate, parse_key, presented_key
from tenants.context import tenant_atomic
from tenants.models import ApiKey, LedgerEvent, Scope
from tenants.roles import PERMISSIONS, Role
from tenants.services import NewKey, create_key, revoke_key, rotate_key
from tests.factories.tenants import Cast
from tests.invariants.worlds import superuser


def opens(key: NewKey) -> bool:
    authentication._cache.clear()
    try:
        authenticate({"X-Api-Key": key.secret})
    except KeyRefused:
        return False
    return True


def as_stored(cast: Cast, key: NewKey) -> ApiKey:
    with tenant_atomic(cast.tenant.pk):
        return ApiKey.objects.get(pk=key.row.pk)


def test_the_secret_is_nowhere_in_the_database(cast: Cast) -> None:
    secret = cast.keys["read"].secret.rsplit("_", 1)[1]
    with superuser() as connection:
        rows = connection.execute("SELECT row_to_json(k)::text FROM tenants_apikey k").fetchall()
        rows += connection.execute("SELECT encode(body, 'escape') FROM tenants_ledgerevent").fetchall()
    assert len(rows) > 3
    assert not [text for (text,) in rows if secret in text]
    assert bytes(as_stored(cast, cast.keys["read"]).secret_sha256) == hashlib.sha256(secret.encode()).digest()


def test_a_secret_is_long_and_never_the_same(cast: Cast) -> None:
    secrets = {create_key(by=cast.owner, name="k", scopes=["read"]).secret for _ in range(20)}
    assert len({secret.rsplit("_", 1)[1] for secret in secrets}) == 20
    assert {len(secret.rsplit("_", 1)[1]) * 5 for secret in secrets} == {200}  # bits: base32


def test_the_key_says_whose_it_is_and_a_wrong_secret_opens_nothing(cast: Cast) -> None:
    key = cast.keys["read"]
    assert parse_key(key.secret).tenant_id == cast.tenant.pk
    for wrong in (key.secret[:-1] + ("a" if key.secret[-1] != "a" else "b"), key.secret + "a", key.secret.upper()):
        with pytest.raises(KeyRefused):
            authenticate({"X-Api-Key": wrong})


@given(st.text(), st.text())
def test_whatever_is_presented_is_a_key_or_refused(authorization: str, x_api_key: str) -> None:
    for header in (authorization, f"Basic {authorization}", f"Bearer aff_{authorization}_x"):
        with pytest.raises(KeyRefused):
            presented_key(header, x_api_key)


@pytest.mark.parametrize("field", ["expires_at", "revoked_at"])
def test_a_key_ends_at_its_moment(cast: Cast, field: str) -> None:
    now, key = datetime.now(UTC), ApiKey(tenant_id=uuid.uuid4())
    setattr(key, field, now)
    assert key.is_live(now - timedelta(microseconds=1))
    assert not key.is_live(now)
    assert not key.is_live(now + timedelta(days=1))


def test_rotation_overlaps_and_then_only_the_new_key_opens(cast: Cast) -> None:
    old = cast.keys["ingest"]
    new = rotate_key(by=cast.owner, key=old.row, overlap=timedelta(days=2))
    assert opens(old)
    assert opens(new)
    left = as_stored(cast, old).expires_at
    assert left is not None
    assert timedelta(days=1, hours=23) < left - datetime.now(UTC) <= timedelta(days=2)
    assert (new.row.scopes, new.row.source_id, new.row.expires_at) == (["ingest"], cast.source.pk, None)
    assert new.secret != old.secret
    assert not opens(replace_end(cast, old, datetime.now(UTC)))
    assert opens(new)


def replace_end(cast: Cast, key: NewKey, at: datetime) -> NewKey:
    with tenant_atomic(cast.tenant.pk):
        ApiKey.objects.filter(pk=key.row.pk).update(expires_at=at)
    return key


def test_rotation_never_makes_a_key_last_longer(cast: Cast) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    key = create_key(by=cast.owner, name="short", scopes=["read"], expires_at=ends)
    rotate_key(by=cast.owner, key=key.row, overlap=timedelta(days=7))
    assert as_stored(cast, key).expires_at == ends


def test_a_revoked_key_is_not_rotated_and_an_expired_one_opens_nothing(cast: Cast) -> None:
    revoke_key(by=cast.owner, key=cast.keys["read"].row)
    assert not opens(cast.keys["read"])
    with pytest.raises(ValidationError, match="revoked"):
        rotate_key(by=cast.owner, key=cast.keys["read"].row)
    assert not opens(replace_end(cast, cast.keys["manage"], datetime.now(UTC) - timedelta(seconds=1)))


def test_revoking_takes_effect_within_the_promised_seconds(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    key, clock = cast.keys["read"], [1_000.0]
    monkeypatch.setattr("tenants.authentication.time.monotonic", lambda: clock[0])
    headers = {"X-Api-Key": key.secret}
    authenticate(headers)
    revoke_key(by=cast.owner, key=key.row)
    clock[0] += authentication.CACHE_SECONDS
    with pytest.raises(KeyRefused, match="revoked"):
        authenticate(headers)
    assert authentication.CACHE_SECONDS < 5


def test_last_use_is_kept_to_the_minute(cast: Cast) -> None:
    key = cast.keys["read"]
    assert as_stored(cast, key).last_used_at is None
    assert opens(key)
    first = as_stored(cast, key).last_used_at
    assert first is not None
    assert datetime.now(UTC) - first < timedelta(seconds=30)
    assert opens(key)
    assert as_stored(cast, key).last_used_at == first
    with tenant_atomic(cast.tenant.pk):
        ApiKey.objects.filter(pk=key.row.pk).update(last_used_at=first - timedelta(minutes=2))
    assert opens(key)
    last = as_stored(cast, key).last_used_at
    assert last is not None
    assert last >= first


def test_every_step_of_a_key_is_in_the_log_by_its_prefix(cast: Cast) -> None:
    key = create_key(by=cast.owner, name="one", scopes=["read"])
    new = rotate_key(by=cast.owner, key=key.row)
    revoke_key(by=cast.owner, key=new.row)
    revoke_key(by=cast.owner, key=new.row)
    with tenant_atomic(cast.tenant.pk):
        rows = LedgerEvent.objects.filter(tag__startswith="key.").order_by("id")
        said = [(row.tag, json.loads(bytes(row.body))["prefix"]) for row in rows][-3:]
    assert said == [("key.created", key.row.prefix), ("key.rotated", new.row.prefix), ("key.revoked", new.row.prefix)]


@pytest.mark.parametrize("role", [role for role in Role.values if "key.manage" not in PERMISSIONS[Role(role)]])
def test_only_who_manages_keys_makes_turns_and_ends_them(cast: Cast, role: str) -> None:
    by = cast.actors[role]
    with pytest.raises(PermissionDenied):
        create_key(by=by, name="x", scopes=["read"])
    for act in (rotate_key, revoke_key):
        with pytest.raises(PermissionDenied):
            act(by=by, key=cast.keys["read"].row)


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", "root"], ["ingest"], ["ingest", "manage"]])
def test_scopes_are_those_there_are(cast: Cast, scopes: list[str]) -> None:
    with pytest.raises(ValidationError):
        create_key(by=cast.owner, name="x", scopes=scopes)


def test_what_scopes_may_do_is_said_for_each_and_writing_and_reading_never_meet() -> None:
    assert set(SCOPE_PERMISSIONS) == set(Scope.values)
    assert not SCOPE_PERMISSIONS["ingest"] & (SCOPE_PERMISSIONS["read"] | SCOPE_PERMISSIONS["manage"])
    assert not {name for name in SCOPE_PERMISSIONS["ingest"] if name.endswith((".read", ".manage"))}


def test_only_an_owner_makes_a_directorys_key(cast: Cast) -> None:
    with pytest.raises(ValidationError, match="Only an owner"):
        create_key(by=cast.actors[Role.ADMIN], name="directory", scopes=["directory"])
    assert create_key(by=cast.owner, name="directory", scopes=["directory"]).row.scopes == ["directory"]
