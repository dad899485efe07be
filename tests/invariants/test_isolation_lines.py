"""I2: either line of defence holds alone, over every tenant table, and the proof of it can fail.

The same attempts to read and write another tenant's rows run with both lines, with the ORM's alone, with the
database's alone, and with neither. Only the last may succeed, and there every attempt must.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, connections, models, transaction
from psycopg import errors
from psycopg.types.json import Jsonb

from tenants.context import TenantRequired, tenant_atomic
from tenants.isolation import LOGIN_ROLES
from tenants.models import base
from tests.invariants.worlds import World, a_row_of, superuser, tenant_models

ORM_ROLES = ("web", "worker")
SQL_ROLES = (*LOGIN_ROLES, "owner")
MODELS = [model._meta.label for model in tenant_models()]


class NotUndone(Exception):
    """Ends an attempt: whatever it did is rolled back."""


@dataclass(frozen=True)
class Target:
    """Another tenant's row, and the tenant from which it is reached for."""

    mine: World
    theirs: World
    model: type[models.Model]
    row: models.Model
    document: dict[str, Any]  # the row as PostgreSQL writes it in JSON
    using: str

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def rows(self) -> "models.QuerySet[models.Model]":
        return self.model._default_manager.using(self.using)


# --- The lines, each with its switch ------------------------------------------------------------------------------


@contextmanager
def orm_line_off() -> Iterator[None]:
    """The managers show everything, and rows are saved and deleted unlooked at. The database is as it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base.TenantManager, "get_queryset", models.Manager.get_queryset)
        patch.setattr(base, "require_own", lambda row: None)
        yield


@contextmanager
def database_line_off() -> Iterator[None]:
    """No row-level security on any tenant table, until the block ends. The ORM is as it was."""
    tables = [model._meta.db_table for model in tenant_models()]
    with superuser() as connection:
        for table in tables:
            connection.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        try:
            yield
        finally:
            for table in tables:
                connection.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


SWITCHES: dict[str, tuple[Callable[[], AbstractContextManager[None]], ...]] = {
    "both lines": (),
    "the database alone": (orm_line_off,),
    "the ORM alone": (database_line_off,),
    "neither": (orm_line_off, database_line_off),
}


@pytest.fixture(scope="module")
def lines(request: pytest.FixtureRequest, mine: World, theirs: World) -> Iterator[str]:
    """Which lines stand, by name. The worlds come first: they are made under both."""
    with ExitStack() as stack:
        for switch in SWITCHES[request.param]:
            stack.enter_context(switch())
        yield request.param


standing = pytest.mark.parametrize("lines", [name for name in SWITCHES if name != "neither"], indirect=True)
both = pytest.mark.parametrize("lines", ["both lines"], indirect=True)
fallen = pytest.mark.parametrize("lines", ["neither"], indirect=True)


# --- The attempts: each returns whether it reached the row --------------------------------------------------------


def reads_by_list(t: Target) -> bool:
    return any(row.pk == t.row.pk for row in t.rows.iterator())


def reads_by_key(t: Target) -> bool:
    return t.rows.filter(pk=t.row.pk).exists()


def reads_by_tenant(t: Target) -> bool:
    return t.rows.filter(tenant_id=t.theirs.cast.tenant.pk).count() > 0


def reads_again(t: Target) -> bool:
    with suppress(ObjectDoesNotExist):
        t.row.refresh_from_db(using=t.using)
        return True
    return False


def reads_with_an_alternative(t: Target) -> bool:
    """A condition that is always true must not open what the manager closed."""
    everything = models.Q(tenant_id=t.mine.cast.tenant.pk) | ~models.Q(tenant_id=t.mine.cast.tenant.pk)
    return any(row.pk == t.row.pk for row in t.rows.filter(everything))


def a_column(model: type[models.Model]) -> str:
    """A column that an update may name: outside the key, or the last of it where there is nothing else."""
    keys = [field.name for field in model._meta.pk_fields]
    others = [field.name for field in model._meta.concrete_fields if field.name not in {*keys, "tenant"}]
    return [*keys, *others[:1]][-1]


def updates_by_query(t: Target) -> bool:
    column = a_column(t.model)
    return t.rows.filter(pk=t.row.pk).update(**{column: models.F(column)}) > 0


def saves_the_row(t: Target) -> bool:
    t.row.save(using=t.using, force_update=True)
    return True


def saves_a_new_row(t: Target) -> bool:
    t.row.save(using=t.using, force_insert=True)
    return True


def adds_in_bulk(t: Target) -> bool:
    t.rows.bulk_create([t.row])
    return True


def deletes_by_query(t: Target) -> bool:
    return t.rows.filter(pk=t.row.pk).delete()[0] > 0


def deletes_the_row(t: Target) -> bool:
    return t.row.delete(using=t.using)[0] > 0


def sql_reads(t: Target) -> bool:
    return _execute(t, f"SELECT FROM {t.table} WHERE tenant_id = %s", t.theirs.cast.tenant.pk) > 0


def sql_updates(t: Target) -> bool:
    column = next(field.column for field in t.model._meta.concrete_fields if field.name == a_column(t.model))
    return (
        _execute(t, f'UPDATE {t.table} SET "{column}" = "{column}" WHERE tenant_id = %s', t.theirs.cast.tenant.pk) > 0
    )


def sql_deletes(t: Target) -> bool:
    return _execute(t, f"DELETE FROM {t.table} WHERE tenant_id = %s", t.theirs.cast.tenant.pk) > 0


def sql_gives_away(t: Target) -> bool:
    """Moves a row of one's own to the other tenant."""
    mine, theirs = t.mine.cast.tenant.pk, t.theirs.cast.tenant.pk
    return _execute(t, f"UPDATE {t.table} SET tenant_id = %s WHERE tenant_id = %s", theirs, mine) > 0


def sql_inserts(t: Target) -> bool:
    columns = ", ".join(f'"{field.column}"' for field in t.model._meta.local_concrete_fields)
    source = f"SELECT {columns} FROM jsonb_populate_record(NULL::{t.table}, %s)"
    return _execute(t, f"INSERT INTO {t.table} ({columns}) {source}", Jsonb(t.document)) > 0


def _execute(t: Target, statement: str, *values: Any) -> int:
    with connections[t.using].cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


Attempt = Callable[[Target], bool]
# Attempt → the privilege without which the database refuses it whatever the tenant.
ORM_ATTEMPTS: dict[Attempt, str] = {
    reads_by_list: "SELECT",
    reads_by_key: "SELECT",
    reads_by_tenant: "SELECT",
    reads_again: "SELECT",
    reads_with_an_alternative: "SELECT",
    updates_by_query: "UPDATE",
    saves_the_row: "UPDATE",
    saves_a_new_row: "INSERT",
    adds_in_bulk: "INSERT",
    deletes_by_query: "DELETE",
    deletes_the_row: "DELETE",
}
SQL_ATTEMPTS: dict[Attempt, str] = {
    sql_reads: "SELECT",
    sql_updates: "UPDATE",
    sql_deletes: "DELETE",
    sql_gives_away: "UPDATE",
    sql_inserts: "INSERT",
}


def reaches(attempt: Attempt, target: Target) -> bool:
    """Whether the attempt came as far as the row; undone in any case.

    A refusal is `TenantRequired`, or the database's lack of privilege, which is what a policy answers too. Another
    error (a row of that key exists, something refers to it) means that the row was reached.
    """
    reached = True
    with suppress(NotUndone), tenant_atomic(target.mine.cast.tenant.pk, using=target.using):
        try:
            with transaction.atomic(using=target.using):
                reached = attempt(target)
                raise NotUndone
        except (TenantRequired, ObjectDoesNotExist):  # the latter: what the row hangs on is not there
            reached = False
        except models.ProtectedError:
            reached = True
        except DatabaseError as error:
            # Django's own "did not affect any rows" has no cause: nothing was there to save.
            reached = error.__cause__ is not None and not isinstance(error.__cause__, errors.InsufficientPrivilege)
        raise NotUndone
    return reached


def attempts_of(lines: str) -> Iterator[tuple[Attempt, str, str]]:
    """(attempt, privilege, role); SQL of one's own writing is the database's to stop, never the ORM's."""
    yield from ((attempt, needs, role) for attempt, needs in ORM_ATTEMPTS.items() for role in ORM_ROLES)
    if lines != "the ORM alone":
        yield from ((attempt, needs, role) for attempt, needs in SQL_ATTEMPTS.items() for role in SQL_ROLES)


@cache
def permitted_acts() -> frozenset[tuple[str, str, str]]:
    """(role, privilege, table) of what a role may do to its own rows: it holds the privilege, no trigger refuses."""
    with superuser() as connection:
        found = connection.execute(
            "SELECT role, privilege, tablename FROM pg_tables, unnest(%s::text[]) role,"
            " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) privilege WHERE schemaname = 'public'"
            "   AND has_table_privilege('affidavit_' || role, tablename::regclass, privilege)"
            "   AND NOT (privilege IN ('UPDATE', 'DELETE') AND EXISTS ("
            "       SELECT FROM pg_trigger WHERE tgrelid = tablename::regclass"
            "          AND tgname IN ('append_only_rows', 'full_tile')))",
            [list(SQL_ROLES)],
        )
        return frozenset(found.fetchall())


@cache
def cross_tenant_roles() -> frozenset[tuple[str, str]]:
    """(role, table) of the sequencer and the signer in the ledger: which tables, T4 of the catalogue says."""
    with superuser() as connection:
        found = connection.execute(
            "SELECT replace(policyname, 'all_tenants_', ''), tablename FROM pg_policies"
            " WHERE starts_with(policyname, 'all_tenants_')"
        )
        return frozenset(found.fetchall())


def outcome(lines: str, label: str, mine: World, theirs: World) -> tuple[set[str], set[str]]:
    """Attempts that reached the other tenant's row, and those that nothing but isolation stands against."""
    model = next(model for model in tenant_models() if model._meta.label == label)
    table, document = model._meta.db_table, as_json(model, theirs)
    reached, permitted = set(), set()
    for attempt, privilege, role in attempts_of(lines):
        if (role, table) in cross_tenant_roles():
            continue
        name = f"{attempt.__name__} as {role}"
        if (role, privilege, table) in permitted_acts():
            permitted.add(name)
        if reaches(attempt, Target(mine, theirs, model, a_row_of(model, theirs.cast), document, role)):
            reached.add(name)
    return reached, permitted


def as_json(model: type[models.Model], world: World) -> dict[str, Any]:
    """One of the tenant's rows, column by column."""
    statement = f"SELECT to_jsonb(row) FROM {model._meta.db_table} row WHERE tenant_id = %s LIMIT 1"
    with superuser() as connection:
        found = connection.execute(statement, [world.cast.tenant.pk]).fetchone()
    assert found is not None
    document: dict[str, Any] = found[0]
    return document


@pytest.mark.parametrize("label", MODELS)
@standing
def test_no_attempt_reaches_another_tenants_row(lines: str, label: str, mine: World, theirs: World) -> None:
    reached, _ = outcome(lines, label, mine, theirs)
    assert reached == set()


@pytest.mark.parametrize("label", MODELS)
@fallen
def test_with_neither_line_every_attempt_reaches_it(lines: str, label: str, mine: World, theirs: World) -> None:
    """The proof of the proof: each attempt is real, so that a line which stops it is what stopped it."""
    reached, permitted = outcome(lines, label, mine, theirs)
    assert permitted >= {f"{name} as web" for name in ("reads_by_list", "reads_by_key", "sql_reads")}
    assert permitted - reached == set()


@pytest.mark.parametrize("label", MODELS)
@standing
def test_ones_own_rows_are_there(lines: str, label: str, mine: World, theirs: World) -> None:
    row = a_row_of(next(model for model in tenant_models() if model._meta.label == label), mine.cast)
    with tenant_atomic(mine.cast.tenant.pk):
        assert row._meta.default_manager.filter(pk=row.pk).exists()  # type: ignore[union-attr]


@pytest.mark.parametrize("label", MODELS)
@both
def test_a_forgotten_tenant_is_an_error_and_never_all_rows(lines: str, label: str) -> None:
    model = next(model for model in tenant_models() if model._meta.label == label)
    with pytest.raises(TenantRequired):
        model._default_manager.count()
    with pytest.raises(TenantRequired):
        model._base_manager.count()
    with orm_line_off():
        assert model._default_manager.count() == 0
    for role in ("web", "worker", "ingest", "owner"):
        with connections[role].cursor() as cursor, suppress(DatabaseError):
            cursor.execute(f"SELECT FROM {model._meta.db_table}")
            assert cursor.rowcount == 0, role


@both
def test_the_lines_stand_again_afterwards(lines: str) -> None:
    """The switches put back what they took away."""
    tables = [model._meta.db_table for model in tenant_models()]
    open_tables = (
        "SELECT relname FROM pg_class WHERE relname = ANY (%s) AND NOT (relrowsecurity AND relforcerowsecurity)"
    )
    with orm_line_off(), database_line_off(), superuser() as connection:
        assert len(connection.execute(open_tables, [tables]).fetchall()) == len(tables)
    with superuser() as connection:
        assert connection.execute(open_tables, [tables]).fetchall() == []
    with pytest.raises(TenantRequired):
        tenant_models()[0]._default_manager.count()
