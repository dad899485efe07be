"""Forget a tenant's rollups and count everything again."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.directory import tenant_named
from traces.costs.rollups import rebuild


class Command(BaseCommand):
    """For decisions older than the rollups, and for whoever wants to see that the sums are the same."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="The organisation's short name")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant_id = tenant_named(options["tenant"], using="worker")
        if tenant_id is None:
            raise CommandError(f"No organisation is called {options['tenant']}.")
        self.stdout.write(f"{rebuild(tenant_id):,} records counted.")
