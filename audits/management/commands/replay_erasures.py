"""After a restore: erase again what the backup brought back."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audits.erasure_files import kept_certificates
from audits.replaying import NotGenuine, replay_certificate


class Command(BaseCommand):
    help = (
        "Erase again what certificates name and a restored backup brought back; run it as the worker, before the site."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", nargs="?", type=Path, help="of certificates (default AFFIDAVIT_ERASURE_DIR)")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for path in kept_certificates(options["folder"]):
            try:
                row = replay_certificate(path.read_bytes())
            except NotGenuine as error:
                failed += 1
                self.stderr.write(f"{path.name}: {error}")
                continue
            if row is None:
                self.stdout.write(f"{path.name}: nothing of it is here")
            else:
                self.stdout.write(f"{path.name}: {row.get_state_display().lower()} as {row.reference}")
        if failed:
            raise CommandError(f"{failed} certificates were not taken.")
