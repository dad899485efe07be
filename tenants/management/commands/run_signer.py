"""The signer process."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tenants.ledger.process import work_until_stopped
from tenants.ledger.signer import sign_checkpoints


class Command(BaseCommand):
    help = "Sign the heads of logs that have grown, until stopped. Needs AFFIDAVIT_CHECKPOINT_KEY."
    requires_system_checks: list[str] = []  # noqa: RUF012  Django's own attribute

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--every", type=float, default=5.0, help="seconds between two heads of a log (default 5)")

    def handle(self, *args: Any, **options: Any) -> None:
        def step() -> int:
            sign_checkpoints()
            return 0  # a head every few seconds is enough, however fast the log grows

        work_until_stopped("signer", step, idle_seconds=options["every"])
