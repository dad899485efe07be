"""Row-level security, keys and privileges of tenant tables, as one migration operation.

`IsolateTable` gives a table, in one line of a migration:

* the primary key `(tenant_id, …)` and composite foreign keys, because key checks pass by row-level security;
* row-level security, enabled and forced, with one RESTRICTIVE policy that no later policy can widen;
* privileges for each database role, nothing for anybody else;
* for append-only tables, triggers that refuse UPDATE, DELETE and TRUNCATE even under
  `session_replication_role = replica`.

Rules T1 to T10 of the catalogue tests (`tests/invariants/test_catalogue.py`) hold every table to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tenants.models.base import TenantForeignKey

OWNER, DIRECTORY = "affidavit_owner", "affidavit_directory"
LOGIN_ROLES = ("web", "worker", "ingest", "sequencer", "signer")
TENANT_ROLES = ("web", "worker", "ingest")
READ_WRITE = "SELECT, INSERT, UPDATE, DELETE"
APPEND = "SELECT, INSERT"
READ = "SELECT"

# No sub-select and no function of ours (Citus refuses both); '' instead of NULL is what a finished SET LOCAL leaves.
TENANT_PREDICATE = "tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid"


def role(name: str) -> str:
    """The database role of a process: `web` → `affidavit_web`."""
    return f"affidavit_{name}"


@dataclass(frozen=True)
class Access:
    """Who may do what with a table: privileges by role name, and the roles that see every tenant's rows in it."""

    grants: Mapping[str, str]
    cross_tenant: Sequence[str] = ()

    def sql(self, table: str) -> list[str]:
        """Statements that leave exactly these privileges on `table`."""
        everybody = ", ".join(role(name) for name in LOGIN_ROLES)
        statements = [f"REVOKE ALL ON {table} FROM PUBLIC, {everybody}"]
        statements += [f"GRANT {privileges} ON {table} TO {role(name)}" for name, privileges in self.grants.items()]
        return statements


class IsolateTable(Operation):
    """Isolate a freshly created tenant table; see the module's text.

    `key`: the columns after `tenant_id` in the primary key (default: the model's own).
    `append_only`: rows can be added, never changed or removed, by any role of the product.
    `partitioned`: by ranges of the UUIDv7 id, a month each; partitions come from `affidavit_ensure_partitions`.
    `grants`: privileges beside the default ones of web and worker. `cross_tenant`: roles that see all rows.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self,
        model_name: str,
        *,
        append_only: bool = False,
        partitioned: bool = False,
        grants: Mapping[str, str] | None = None,
        cross_tenant: Sequence[str] = (),
    ) -> None:
        self.model_name = model_name
        self.append_only = append_only
        self.partitioned = partitioned
        self.grants = dict(grants or {})
        self.cross_tenant = list(cross_tenant)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        kwargs: dict[str, Any] = {
            "append_only": self.append_only,
            "partitioned": self.partitioned,
            "grants": self.grants,
            "cross_tenant": self.cross_tenant,
        }
        return self.__class__.__qualname__, [self.model_name], {k: v for k, v in kwargs.items() if v}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Isolation is the database's; the ORM's picture of the model does not change."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        for statement in self.statements(model):
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Nothing to undo: the table goes with its model."""

    def describe(self) -> str:
        return f"Isolate {self.model_name} by tenant"

    def statements(self, model: type[models.Model]) -> list[str]:
        """Every statement of the isolation, in order."""
        table = model._meta.db_table
        access = Access(self._default_grants() | self.grants, self.cross_tenant)
        return [
            *(partition_statements(table) if self.partitioned else []),
            *key_statements(model, fresh_key=self.partitioned),
            *policy_statements(table, self.cross_tenant),
            *access.sql(table),
            *(append_only_statements(table) if self.append_only else []),
            *([f"SELECT affidavit_ensure_partitions('{table}', 12)"] if self.partitioned else []),
        ]

    def _default_grants(self) -> dict[str, str]:
        return dict.fromkeys(("web", "worker"), APPEND if self.append_only else READ_WRITE)


def partition_statements(table: str) -> list[str]:
    """Turn a plain, still empty table into one partitioned by its id."""
    return [
        f"ALTER TABLE {table} RENAME TO {table}_plain",
        f"CREATE TABLE {table} (LIKE {table}_plain INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"
        " PARTITION BY RANGE (id)",
        f"DROP TABLE {table}_plain",
    ]


def key_columns(model: type[models.Model]) -> list[str]:
    """`tenant_id` first, then what else makes a row unique."""
    columns = [field.column for field in model._meta.pk_fields]
    return ["tenant_id", *(column for column in columns if column != "tenant_id")]


def key_statements(model: type[models.Model], *, fresh_key: bool) -> list[str]:
    """Composite primary key, and a composite constraint for each reference inside the tenant."""
    table = model._meta.db_table
    statements = [] if fresh_key else [f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey"]
    statements.append(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY ({', '.join(key_columns(model))})")
    for field in model._meta.local_fields:
        if isinstance(field, TenantForeignKey):
            target = field.target_field.model._meta
            statements.append(
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_{field.column}_fk"
                f" FOREIGN KEY (tenant_id, {field.column}) REFERENCES {target.db_table} (tenant_id, {target.pk.column})"
            )
    return statements


def policy_statements(table: str, cross_tenant: Sequence[str]) -> list[str]:
    """Enabled and forced; RESTRICTIVE for tenant roles; explicit policies for the roles that serve all tenants."""
    tenant_roles = ", ".join([OWNER, *(role(name) for name in TENANT_ROLES if name not in cross_tenant)])
    statements = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant_isolation ON {table} AS RESTRICTIVE TO {tenant_roles}"
        f" USING ({TENANT_PREDICATE}) WITH CHECK ({TENANT_PREDICATE})",
        f"CREATE POLICY tenant_rows ON {table} TO {tenant_roles} USING (true) WITH CHECK (true)",
    ]
    for name in cross_tenant:
        who = DIRECTORY if name == "directory" else role(name)
        statements.append(f"CREATE POLICY all_tenants_{name} ON {table} TO {who} USING (true) WITH CHECK (true)")
    return statements


def append_only_statements(table: str) -> list[str]:
    """Refuse change and removal by trigger: the second line behind the missing privileges."""
    return [
        f"CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION affidavit_refuse_change()",
        f"CREATE TRIGGER append_only_table BEFORE TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION affidavit_refuse_change()",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_rows",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_table",
    ]
