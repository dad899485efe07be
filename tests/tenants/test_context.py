"""I3: many tenants over few connections; none is left behind on one, and none meets another's rows."""

import random
import threading
import uuid
from collections.abc import Iterator

import pytest
from django.db import connections
from django.test import Client

from tenants.context import TenantRequired, current_tenant_id, current_tenant_or_none, tenant_atomic
from tenants.models import SourceSystem
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import submit

URL = "/api/v1/decisions"
TENANTS, CONNECTIONS, REQUESTS = 8, 4, 40  # requests per connection


def left_behind(using: str = "default") -> str | None:
    """What the connection still knows of a tenant: nothing, or the empty text that a finished SET LOCAL leaves."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT NULLIF(current_setting('app.tenant_id', true), '')")
        found: str | None = cursor.fetchone()[0]
    return found


@pytest.fixture(scope="module")
def many() -> list[tuple[Cast, set[str]]]:
    """Tenants, each with the ids of its own decisions."""
    casts = [make_cast() for _ in range(TENANTS)]
    return [(cast, {str(pk) for pk in submit(cast, 3)}) for cast in casts]


def one_request(cast: Cast, own: set[str], foreign: str) -> Iterator[str]:
    """One of the things that clients do, well or badly; yields what must not have happened."""
    client = Client(raise_request_exception=False)
    reads = {"Authorization": f"Bearer {cast.keys['read'].secret}"}
    match random.randrange(5):
        case 0:
            found = {item["id"] for item in client.get(URL, headers=reads).json()["items"]}
            if found != own:
                yield f"a list holds {found - own}, lacks {own - found}"
        case 1:
            if client.get(f"{URL}/{foreign}", headers=reads).status_code != 404:
                yield "another tenant's record was there"
        case 2:
            if client.get(f"{URL}/{random.choice(sorted(own))}", headers=reads).status_code != 200:
                yield "a record of one's own was not there"
        case 3:
            writes = {"Authorization": f"Bearer {cast.keys['ingest'].secret}"}
            if client.post(URL, b"[{}]", "application/json", headers=writes).status_code != 422:
                yield "a bad record was taken"
        case _:
            if client.get(URL, {"limit": "x"}, headers=reads).status_code != 400:
                yield "a bad question was answered"


def test_requests_of_many_tenants_never_cross_on_shared_connections(many: list[tuple[Cast, set[str]]]) -> None:
    wrong: list[str] = []

    def serve(seed: int) -> None:
        choice = random.Random(seed)
        for _ in range(REQUESTS):
            (cast, own), (_, others) = choice.sample(many, 2)
            wrong.extend(one_request(cast, own, choice.choice(sorted(others))))
            wrong.extend(f"{alias} remembers a tenant" for alias in ("default", "ingest") if left_behind(alias))
            if current_tenant_or_none():
                wrong.append("the thread remembers a tenant")
        connections.close_all()

    threads = [threading.Thread(target=serve, args=(seed,)) for seed in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("using", ["default", "worker", "ingest"])
def test_a_tenant_ends_with_its_block_even_if_that_fails(cast: Cast, using: str) -> None:
    with tenant_atomic(cast.tenant.pk, using=using):
        assert left_behind(using) == str(cast.tenant.pk)
        assert current_tenant_id() == cast.tenant.pk
    with pytest.raises(ZeroDivisionError), tenant_atomic(cast.tenant.pk, using=using):
        _ = 1 // 0
    assert left_behind(using) is None
    assert current_tenant_or_none() is None


def test_one_transaction_serves_one_tenant(cast: Cast, stranger: Cast) -> None:
    with tenant_atomic(cast.tenant.pk):
        with tenant_atomic(cast.tenant.pk):
            assert SourceSystem.objects.count() == 1
        with pytest.raises(TenantRequired, match="one tenant"), tenant_atomic(stranger.tenant.pk):
            pass
        assert SourceSystem.objects.get().pk == cast.source.pk


@pytest.mark.parametrize("nobody", [None, "", "x' OR '1'='1", str(uuid.uuid4()), 7])
def test_a_tenant_is_a_uuid_and_nothing_else(nobody: object) -> None:
    with pytest.raises(TypeError), tenant_atomic(nobody):  # type: ignore[arg-type]
        pass


def test_a_row_of_another_tenant_is_neither_saved_nor_deleted(cast: Cast, stranger: Cast) -> None:
    """The ORM's own refusal, before the database's: also for rows that were loaded under their own tenant."""
    with tenant_atomic(stranger.tenant.pk):
        theirs = SourceSystem.objects.get()
    with tenant_atomic(cast.tenant.pk):
        acts = (theirs.save, theirs.delete, lambda: SourceSystem.objects.bulk_create([theirs]))
        for act in acts:
            with pytest.raises(TenantRequired, match="not of the tenant in context"):
                act()
        with pytest.raises(TenantRequired):
            SourceSystem.objects.create(name="x", tenant_id=stranger.tenant.pk)
