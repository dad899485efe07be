"""Database roles: made by an administrator's connection before the first migration, the same at every run.

The owner of the tables cannot log in; each kind of process logs in as a role of its own; the directory role owns
the two look-ups that must see across tenants (a person's memberships, the list of tenants).
"""

from collections.abc import Mapping

import psycopg
from psycopg import sql

from tenants.isolation import DIRECTORY, LOGIN_ROLES, OWNER, READ_WRITE, Access, role

# Tables that belong to no tenant, and what each role may do with them. Every model is either here or isolated.
GLOBAL_TABLES: Mapping[str, Access] = {
    "tenants_user": Access({"web": READ_WRITE, "worker": "SELECT"}),
    "tenants_user_groups": Access({"web": "SELECT"}),
    "tenants_user_user_permissions": Access({"web": "SELECT"}),
    "django_session": Access({"web": READ_WRITE, "worker": "SELECT, DELETE"}),
    "tenants_refusedsignin": Access({"web": "SELECT, INSERT", "worker": "SELECT, DELETE"}),
    # Ways in. Nobody signs up or confirms an address here, and identity providers come from the settings.
    "account_emailaddress": Access({"web": "SELECT"}),
    "account_emailconfirmation": Access({}),
    "socialaccount_socialaccount": Access({"web": READ_WRITE}),
    "socialaccount_socialapp": Access({}),
    "socialaccount_socialtoken": Access({}),
    "mfa_authenticator": Access({"web": READ_WRITE}),
    "usersessions_usersession": Access({"web": READ_WRITE}),
    "django_content_type": Access({"web": "SELECT", "worker": "SELECT"}),
    "auth_permission": Access({"web": "SELECT", "worker": "SELECT"}),
    "auth_group": Access({"web": "SELECT"}),
    "auth_group_permissions": Access({"web": "SELECT"}),
    "guardian_userobjectpermission": Access({}),
    "guardian_groupobjectpermission": Access({}),
    "django_admin_log": Access({"web": "SELECT"}),  # the admin's first page asks for it; nothing writes it
    "traces_listprice": Access(dict.fromkeys(("web", "worker"), "SELECT") | {"ingest": "SELECT"}),
    "django_migrations": Access(dict.fromkeys(LOGIN_ROLES, "SELECT")),
}

EXTENSIONS = ("btree_gist",)

# Of every login, kept with the role and not asked for by each connection: a pooler takes no such requests. The
# time-outs keep one forgotten query from holding a connection or a lock. Of a page out of order PostgreSQL thinks,
# unless told otherwise, as of a turning disk, and reads a whole tenant instead.
SESSION = {"timezone": "UTC", "statement_timeout": "60s", "random_page_cost": "1.1"}
# Somebody waits for a page or an answer, and others for the connection: what takes longer is a task.
OWN_SESSION = {"web": {"statement_timeout": "15s"}}


def provision_roles(connection: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    """Create or renew every role of the product; `passwords` by role name ('web', …). Needs CREATEROLE."""
    for name in (OWNER, DIRECTORY):
        _ensure_role(connection, name, "NOLOGIN")
    for name in LOGIN_ROLES:
        _ensure_role(connection, role(name), "LOGIN")
        connection.execute(
            sql.SQL("ALTER ROLE {} NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB LOGIN PASSWORD {}").format(
                sql.Identifier(role(name)), sql.Literal(passwords[name])
            )
        )
        for setting, value in (SESSION | OWN_SESSION.get(name, {})).items():
            connection.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(
                    sql.Identifier(role(name)), sql.Identifier(setting), sql.Literal(value)
                )
            )
    everybody = ", ".join(role(name) for name in LOGIN_ROLES)
    for extension in EXTENSIONS:
        connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    for statement in (
        f"GRANT {OWNER} TO CURRENT_USER",
        f"GRANT {DIRECTORY} TO {OWNER}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}, {DIRECTORY}",
        f"GRANT USAGE ON SCHEMA public TO {everybody}",
    ):
        connection.execute(statement)


def grant_global_tables(connection: psycopg.Connection) -> None:
    """Leave exactly the privileges of `GLOBAL_TABLES`, on those of them that exist yet."""
    for table, access in GLOBAL_TABLES.items():
        if connection.execute("SELECT to_regclass(%s)", (table,)).fetchone() != (None,):
            for statement in access.sql(table):
                connection.execute(statement)


def _ensure_role(connection: psycopg.Connection, name: str, login: str) -> None:
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    if not exists:
        connection.execute(sql.SQL("CREATE ROLE {} " + login).format(sql.Identifier(name)))
