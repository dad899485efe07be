"""Spread the tables over a Citus cluster; shows the SQL unless told to run it. See docs/capacity.md."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tenants.distribution import kinds_of, statements


class Command(BaseCommand):
    help = "Turn the tables into distributed, reference and local ones of a Citus cluster; shows the SQL."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--apply", action="store_true", help="run the statements, while nothing else runs")

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in settings.DATABASES:
            raise CommandError("Set DATABASE_URL to an administrator's login: no other may move tables.")
        kinds, owner = kinds_of(apps.get_models(include_auto_created=True)), connections["owner"]
        done = tables_of_the_cluster(owner)
        if options["apply"] and done is None:
            raise CommandError("This database has no Citus: CREATE EXTENSION citus, and add its machines, first.")
        with owner.cursor() as cursor:
            cursor.execute("SET ROLE NONE")  # the login itself: the database's settings are not the tables' owner's
            for statement in statements(kinds, owner.settings_dict["NAME"], done or ()):
                self.stdout.write(f"{statement};")
                if options["apply"]:
                    cursor.execute(statement)
        owner.close()
        counts = (kinds.distributed, "distributed"), (kinds.reference, "reference"), (kinds.local, "local")
        told = ", ".join(f"{len(tables)} {name}" for tables, name in counts)
        self.stdout.write(f"-- {told}{'' if options['apply'] else '; nothing was changed'}")


def tables_of_the_cluster(owner: BaseDatabaseWrapper) -> set[str] | None:
    """What is distributed or copied already; None without Citus."""
    with owner.cursor() as cursor:
        cursor.execute("SELECT to_regclass('citus_tables') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return None
        cursor.execute("SELECT table_name::text FROM citus_tables")
        return {row[0] for row in cursor.fetchall()}
