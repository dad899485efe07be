"""`migrate` as the tables' owner, with the database roles made first and the privileges renewed after."""

from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.migrate import Command as DjangoMigrate

from tenants.isolation import LOGIN_ROLES
from tenants.provision import grant_global_tables, provision_roles


class Command(DjangoMigrate):
    """Django's command on the `owner` connection; safe to run at every start."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in settings.DATABASES:
            raise CommandError("Set DATABASE_URL to an administrator's login: migrations make roles and tables.")
        with self.administrator() as connection:
            provision_roles(connection, self.passwords())
        super().handle(*args, **options)
        with psycopg.connect(**self.parameters(), options="-c role=affidavit_owner", autocommit=True) as connection:
            grant_global_tables(connection)

    def administrator(self) -> psycopg.Connection:
        """The login of DATABASE_URL as it is, without taking on the owner's role (which may not exist yet)."""
        return psycopg.connect(**self.parameters(), autocommit=True)

    def parameters(self) -> dict[str, Any]:
        """libpq parameters of the owner's connection."""
        database = settings.DATABASES["owner"]
        names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
        return {key: database[name] for key, name in names.items() if database[name]}

    def passwords(self) -> dict[str, str]:
        """Password by role, as this deployment's URLs have them."""
        missing = [name for name in LOGIN_ROLES if name not in settings.DATABASES]
        if missing:
            raise CommandError(f"No database URL for {', '.join(missing)}: set DATABASE_URL_{missing[0].upper()}.")
        return {name: settings.DATABASES[name]["PASSWORD"] for name in LOGIN_ROLES}
