"""The plan for Citus, run on PostgreSQL against functions that refuse what Citus refuses."""

import io
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.core.management import CommandError, call_command
from django.db import connections, models

from tenants.distribution import Kinds, kinds_of, statements
from tenants.provision import GLOBAL_TABLES
from tests.invariants.worlds import superuser

# As `create_distributed_table.c`, `table.c`, `foreign_constraint.c` and `trigger.c` of Citus do.
CITUS = """
CREATE SCHEMA imagined; SET LOCAL search_path = public, imagined;
CREATE TABLE imagined.citus_tables (table_name regclass PRIMARY KEY, citus_table_type text);
CREATE FUNCTION imagined.check_table(t regclass) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  IF EXISTS (SELECT FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = t AND k.confrelid <> t
             AND k.conparentid = 0 AND NOT EXISTS (SELECT FROM citus_tables c WHERE c.table_name = k.confrelid)) THEN
    RAISE 'referenced table of % must be a distributed table or a reference table', t; END IF;
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = t AND attidentity <> '' AND atttypid <> 'int8'::regtype) THEN
    RAISE 'cannot complete operation on % with smallint/int identity column', t; END IF; END $$;
CREATE FUNCTION imagined.create_reference_table(t regclass) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  PERFORM check_table(t);
  INSERT INTO citus_tables VALUES (t, 'reference'); END $$;
CREATE FUNCTION imagined.create_distributed_table(t regclass, distribution_column text, colocate_with text)
RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  PERFORM check_table(t);
  IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t AND NOT tgisinternal AND tgtype & 1 = 0) THEN
    RAISE 'triggers on % are not supported: statement level', t; END IF;
  IF EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = t AND a.attname = distribution_column
             WHERE i.indrelid = t AND (i.indisunique OR i.indisexclusion)
             AND NOT a.attnum = ANY (i.indkey::int2[])) THEN
    RAISE 'distributed relations cannot have UNIQUE, EXCLUDE, or PRIMARY KEY without the column: %', t; END IF;
  IF colocate_with <> 'none' AND NOT EXISTS (
      SELECT FROM citus_tables WHERE table_name = colocate_with::regclass AND citus_table_type = 'distributed') THEN
    RAISE 'relation % is not distributed', colocate_with; END IF;
  INSERT INTO citus_tables VALUES (t, 'distributed'); END $$;
"""


def kinds() -> Kinds:
    return kinds_of(apps.get_models(include_auto_created=True))


@pytest.fixture
def cluster() -> Iterator[psycopg.Connection[Any]]:
    """A superuser's transaction in which Citus is imagined; nothing of it stays."""
    for alias in connections:
        connections[alias].close()
    with superuser() as connection, connection.transaction(force_rollback=True):
        connection.execute(CITUS)
        yield connection


def run(cluster: psycopg.Connection[Any]) -> int:
    """Do what is left, as the command does; how many tables that moved."""
    done = {row[0] for row in cluster.execute("SELECT table_name::text FROM citus_tables").fetchall()}
    left = statements(kinds(), connections["owner"].settings_dict["NAME"], done)
    for statement in left:
        cluster.execute(statement)
    return sum(statement.startswith("SELECT create_") for statement in left)


def test_citus_would_take_every_step_in_this_order(cluster: psycopg.Connection[Any]) -> None:
    assert run(cluster) == len(kinds().distributed) + len(kinds().reference)
    found = dict(cluster.execute("SELECT table_name::text, citus_table_type FROM citus_tables").fetchall())
    with_tenant = {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if any(field.column == "tenant_id" for field in model._meta.concrete_fields)
    }
    assert {table for table, kind in found.items() if kind == "distributed"} == with_tenant
    assert found["tenants_tenant"] == found["tenants_user"] == "reference"


def test_a_second_run_has_nothing_left_and_one_that_broke_off_goes_on(cluster: psycopg.Connection[Any]) -> None:
    for statement in statements(kinds(), connections["owner"].settings_dict["NAME"])[:30]:
        cluster.execute(statement)
    assert run(cluster) > 0
    assert run(cluster) == 0


def test_tables_that_no_tenant_refers_to_stay_and_are_known() -> None:
    assert {"django_session", "django_migrations"} - set(kinds().local) == {"django_migrations"}  # no model of ours
    assert set(kinds().local) <= set(GLOBAL_TABLES)


def test_only_tables_that_stay_keep_a_statement_trigger(cluster: psycopg.Connection[Any]) -> None:
    """C8: on the others privileges alone refuse TRUNCATE."""
    run(cluster)
    cluster.execute("SELECT affidavit_ensure_partitions('traces_decision', 14)")  # months that come later
    left = cluster.execute(
        "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 1 = 0"
    )
    assert {table for (table,) in left.fetchall()} <= set(kinds().local)


def invented(name: str, **columns: Any) -> type[models.Model]:
    """A model that no app has."""
    meta = type("Meta", (), {"app_label": "imagined", "db_table": name, "apps": Apps()})
    return type(name, (models.Model,), {"Meta": meta, "__module__": __name__, **columns})


def test_a_global_table_that_refers_to_a_tenants_is_refused() -> None:
    theirs = invented("theirs", tenant_id=models.UUIDField())
    shared = invented("shared", row=models.ForeignKey(theirs, models.CASCADE))
    user = invented("user", tenant_id=models.UUIDField(), shared=models.ForeignKey(shared, models.CASCADE))
    with pytest.raises(ValueError, match="refers to one with it: shared"):
        kinds_of([theirs, shared, user])
    with pytest.raises(ValueError, match="nor in GLOBAL_TABLES: alone"):
        kinds_of([invented("alone")])


def test_the_command_shows_and_changes_nothing_unless_told() -> None:
    shown = io.StringIO()
    call_command("distribute", stdout=shown)
    assert "create_distributed_table('traces_decision', 'tenant_id'" in shown.getvalue()
    assert shown.getvalue().rstrip().endswith("nothing was changed")
    with pytest.raises(CommandError, match="no Citus"):
        call_command("distribute", "--apply", stdout=shown)
