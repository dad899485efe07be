"""The sequencer process."""

from typing import Any

from django.core.management.base import BaseCommand

from tenants.ledger.process import work_until_stopped
from tenants.ledger.sequencer import integrate_all

IDLE_SECONDS = 0.1


class Command(BaseCommand):
    help = "Give queued leaves their place in the tree, until stopped."
    requires_system_checks: list[str] = []  # noqa: RUF012  Django's own attribute

    def handle(self, *args: Any, **options: Any) -> None:
        work_until_stopped("sequencer", integrate_all, idle_seconds=IDLE_SECONDS)
