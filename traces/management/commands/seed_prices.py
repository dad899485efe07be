"""Renew the published price list from the installed package; asks nobody outside."""

from typing import Any

from django.core.management.base import BaseCommand

from traces.costs.seeding import seed_list_prices


class Command(BaseCommand):
    """Run it after an upgrade of the package `genai-prices`; what was recorded keeps its price."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        n = seed_list_prices()
        self.stdout.write(f"{n:,} prices, a new edition." if n else "The list is what it was.")
