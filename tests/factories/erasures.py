"""Erasures, through the product's own services and its worker's own database role."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from audits.erasing import run_erasure
from audits.erasures import Plea, approve_erasure, request_erasure
from audits.models import Erasure
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.tenants import PASSWORD, Cast
from tests.invariants.worlds import superuser

REASON = "Their letter of 3 November; identity checked by the branch."


@contextmanager
def as_worker() -> Iterator[None]:
    """What runs inside runs as a worker does: its database login is the one in use."""
    web = connections["default"]
    connections["default"] = connections["worker"]
    try:
        yield
    finally:
        connections["default"] = web


def requested(cast: Cast, subject: str) -> Erasure:
    """A request of the administrator's."""
    return request_erasure(by=cast.actors[Role.ADMIN], plea=Plea(subject, "b", REASON))


def approved(cast: Cast, subject: str) -> Erasure:
    """One that the owner approved."""
    return approve_erasure(by=cast.owner, erasure=requested(cast, subject), password=PASSWORD)


def erased(cast: Cast, subject: str, *, batch: int = 200) -> Erasure:
    """One that a worker carried out."""
    row = approved(cast, subject)
    with as_worker():
        run_erasure(cast.tenant.pk, row.pk, batch=batch)
    return fresh(row)


def fresh(row: Erasure) -> Erasure:
    """The row as it is now."""
    with tenant_atomic(row.tenant_id):
        return Erasure.objects.get(pk=row.pk)


def erase_decision(cast: Cast, pk: uuid.UUID) -> None:
    """The content of one decision alone, removed as a worker removes it: the reason on record, then the row."""
    with superuser() as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")  # past the guard: no request asked for it
        connection.execute(
            "INSERT INTO traces_erasedcontent (tenant_id, id, under_id, reason, erased_at)"
            " VALUES (%s, %s, %s, 'ER-0: a test', now())",
            [cast.tenant.pk, pk, pk],
        )
    with tenant_atomic(cast.tenant.pk, using="worker"), connections["worker"].cursor() as cursor:
        cursor.execute("DELETE FROM traces_decisionpayload WHERE id = %s", [pk])
