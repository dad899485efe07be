"""I5: no row can refer to another tenant's, by any reference: the database refuses, whoever writes.

Foreign-key checks pass by row-level security, so it is the composite key that must stand here.
"""

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.invariants.worlds import World, superuser, tenant_references

REFERENCES = {f"{model._meta.label}.{field.name}": (model, field) for model, field in tenant_references()}


def point_elsewhere(connection: psycopg.Connection[Any], name: str, mine: World, theirs: World) -> int:
    """Let one of my rows refer to one of theirs, past every policy, privilege and trigger; returns rows changed."""
    model, field = REFERENCES[name]
    table, target = model._meta.db_table, field.target_field.model._meta
    connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")  # append-only rows would refuse any change
    foreign = f"(SELECT {target.pk.column} FROM {target.db_table} WHERE tenant_id = %s LIMIT 1)"
    mine_once = f"ctid = (SELECT ctid FROM {table} WHERE tenant_id = %s LIMIT 1) AND tenant_id = %s"
    statement = f"UPDATE {table} SET {field.column} = {foreign} WHERE {mine_once}"
    tenant = mine.cast.tenant.pk
    return connection.execute(statement, [theirs.cast.tenant.pk, tenant, tenant]).rowcount


@pytest.mark.parametrize("name", REFERENCES)
def test_a_row_cannot_refer_to_another_tenants(name: str, mine: World, theirs: World) -> None:
    model, field = REFERENCES[name]
    with superuser() as connection:
        with pytest.raises(errors.ForeignKeyViolation) as refused, connection.transaction():
            point_elsewhere(connection, name, mine, theirs)
        assert refused.value.diag.constraint_name == f"{model._meta.db_table}_{field.column}_fk"


@pytest.mark.parametrize("name", REFERENCES)
def test_without_the_composite_key_it_could(name: str, mine: World, theirs: World) -> None:
    """That it is this key which refuses, and nothing else."""
    model, field = REFERENCES[name]
    table = model._meta.db_table
    with superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{field.column}_fk")
        assert point_elsewhere(connection, name, mine, theirs) == 1
