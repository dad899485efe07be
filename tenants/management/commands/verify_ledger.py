"""Derive every log again from its leaves."""

import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.directory import tenant_ids
from tenants.ledger.rederive import rederive


class Command(BaseCommand):
    help = "Compare leaves, tiles, roots and signed heads of every log; exits with 1 and names the first bad leaf."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", type=uuid.UUID, help="only this one (its id)")
        parser.add_argument(
            "--state",
            default=settings.AFFIDAVIT_SIGNER_STATE,
            help="the signer's folder (default AFFIDAVIT_SIGNER_STATE)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        using = next(alias for alias in ("worker", "owner", "default") if alias in settings.DATABASES)
        state = Path(options["state"]) if options["state"] else None
        if state is None:
            self.stdout.write("Without the signer's folder: a database set back as a whole is not noticed (--state).")
        wanted = [options["tenant"]] if options["tenant"] else tenant_ids(using)
        broken = [origin for tenant_id in wanted for origin in self.verify(tenant_id, using, state)]
        if broken:
            raise CommandError(f"{len(broken)} of the logs do not hold: {', '.join(broken)}")

    def verify(self, tenant_id: uuid.UUID, using: str, state: Path | None) -> list[str]:
        """Say what was found of one tenant's logs; returns the origins of those that do not hold."""
        walks = rederive(tenant_id, using=using, state=state)
        if not walks:
            self.stderr.write(f"{tenant_id}: there is no log")
            return [str(tenant_id)]
        for walk in walks:
            verdict = "BROKEN" if walk.findings else "holds"
            self.stdout.write(f"{verdict}  {walk.log.origin}: {walk.log.size} leaves, {walk.heads} signed heads")
            for finding in walk.findings:
                self.stdout.write(f"        leaf {finding.index}: {finding.text}")
        return [walk.log.origin for walk in walks if walk.findings]
