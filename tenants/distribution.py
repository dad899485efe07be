"""The schema over many machines with Citus: which table is distributed, which is copied everywhere, which stays.

A tenant's rows lie together on one machine: every tenant table is distributed by `tenant_id` and colocated with the
others, so that keys, foreign keys and joins stay local (rules C1 to C18 of `tests/invariants`). What they refer to
is copied to every machine; sessions and Django's own tables stay on the coordinator.

Pure: it reads the model registry and `GLOBAL_TABLES`, and returns SQL. `manage.py distribute` shows or runs it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from django.db import models

from tenants.provision import GLOBAL_TABLES

COLUMN = "tenant_id"
# Citus takes no statement-level trigger, on partitions neither. Privileges refuse TRUNCATE without it (rule T9).
DROP_TRIGGERS = """DO $$ DECLARE t regclass; BEGIN
  FOR t IN SELECT tgrelid FROM pg_trigger WHERE tgname = 'append_only_table' AND (tgrelid = '{table}'::regclass
      OR tgrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = '{table}'::regclass)) LOOP
    EXECUTE format('DROP TRIGGER append_only_table ON %s', t);
  END LOOP; END $$"""
# A tenant set with SET LOCAL must reach the machine that has its rows; row-level triggers run there.
SETTINGS = {"citus.propagate_set_commands": "local", "citus.enable_unsafe_triggers": "on"}


@dataclass(frozen=True)
class Kinds:
    """Tables by what becomes of them, each kind in an order in which a table follows what it refers to."""

    reference: tuple[str, ...]
    distributed: tuple[str, ...]
    local: tuple[str, ...]
    narrow: frozenset[str]  # reference tables of Django's whose identity has 32 bits


def kinds_of(registry: Collection[type[models.Model]]) -> Kinds:
    """Sort the tables of the models.

    A table with `tenant_id` is distributed. A table that one of those refers to, directly or through others, is a
    reference table. Any other must be in `GLOBAL_TABLES` and stays local; ValueError otherwise.
    """
    refers = {model._meta.db_table: _targets(model) for model in registry if model._meta.managed}
    tenanted = {m._meta.db_table for m in registry if any(f.column == COLUMN for f in m._meta.concrete_fields)}
    order = [table for table in TopologicalSorter(refers).static_order() if table in refers]
    reference = _reached_from({other for table in tenanted for other in refers[table]} - tenanted, refers)
    if inward := sorted(table for table in reference if table in tenanted or refers[table] & tenanted):
        raise ValueError(f"A table without a tenant refers to one with it: {', '.join(inward)}")
    local = [table for table in order if table not in tenanted | reference]
    if unknown := sorted(set(local) - set(GLOBAL_TABLES)):
        raise ValueError(f"Neither a tenant's nor in GLOBAL_TABLES: {', '.join(unknown)}")
    return Kinds(
        tuple(table for table in order if table in reference),
        tuple(table for table in order if table in tenanted),
        tuple(local),
        frozenset(m._meta.db_table for m in registry if m._meta.db_table in reference and _is_narrow(m._meta.pk)),
    )


def statements(kinds: Kinds, database: str, done: Collection[str] = ()) -> list[str]:
    """What is left to do, in order; nothing for a table of `done`. Each statement may be run again after a failure."""
    found = [f"ALTER DATABASE {_quoted(database)} SET {name} = '{value}'" for name, value in SETTINGS.items()]
    found += [f"SET {name} = '{value}'" for name, value in SETTINGS.items()]  # this session began before
    for table in kinds.reference:
        if table not in done:
            widen = [f"ALTER TABLE {table} ALTER COLUMN id TYPE bigint"] if table in kinds.narrow else []
            found += [*widen, f"SELECT create_reference_table('{table}')"]
    first = kinds.distributed[0] if kinds.distributed else ""
    for table in kinds.distributed:
        if table in done:
            continue
        beside = "none" if table == first else first
        found.append(DROP_TRIGGERS.format(table=table))
        found.append(f"SELECT create_distributed_table('{table}', '{COLUMN}', colocate_with => '{beside}')")
    return found


def _targets(model: type[models.Model]) -> set[str]:
    """Tables that the model's own columns refer to, itself left out."""
    related = (field.remote_field.model for field in model._meta.local_concrete_fields if field.remote_field)
    return {one._meta.db_table for one in related} - {model._meta.db_table}


def _is_narrow(key: "models.Field[object, object]") -> bool:
    return isinstance(key, models.AutoField) and not isinstance(key, models.BigAutoField)


def _reached_from(start: set[str], refers: Mapping[str, set[str]]) -> set[str]:
    """`start`, and all that it refers to."""
    found: set[str] = set()
    left = list(start)
    while left:
        table = left.pop()
        if table not in found:
            found.add(table)
            left += refers.get(table, ())
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
