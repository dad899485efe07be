"""Freeze a log that was set back or forked, and go on with the next shard. See docs/operations.md."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.directory import tenant_named
from tenants.ledger.shards import Freeze, FreezeRefused, freeze_log


class Command(BaseCommand):
    help = "Freeze an organisation's log at its last good head; the next shard's first leaf names that head."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="the organisation's short name")
        parser.add_argument("--reason", required=True, help="why; it stays in the log for good")
        parser.add_argument("--operator", required=True, metavar="PERSON", help="who does it")
        parser.add_argument("--second", required=True, metavar="PERSON", help="who agreed to it: somebody else")
        parser.add_argument(
            "--state",
            default=settings.AFFIDAVIT_SIGNER_STATE,
            help="the signer's folder (default AFFIDAVIT_SIGNER_STATE)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in settings.DATABASES:
            raise CommandError("Set DATABASE_URL to an administrator's login: no other may freeze a log.")
        if not options["state"]:
            raise CommandError("Give the signer's folder (--state): it says which heads are good.")
        tenant_id = tenant_named(options["tenant"], "owner")
        if tenant_id is None:
            raise CommandError(f"There is no organisation {options['tenant']!r}.")
        by = Freeze(options["reason"], (options["operator"], options["second"]))
        try:
            done = freeze_log(tenant_id, by=by, state=Path(options["state"]))
        except FreezeRefused as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{done.before.origin} is frozen at {done.size} leaves; {done.after.origin} goes on.")
        if done.moved:
            self.stdout.write(f"{done.moved} leaves that no good head covered get a place there.")
