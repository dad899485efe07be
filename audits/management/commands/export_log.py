"""A tenant's whole log as a bundle that verifies offline."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audits.log_export import Altered, export_log
from tenants.actors import system_actor
from tenants.directory import tenant_named
from tenants.ledger.reader import NotThere


class Command(BaseCommand):
    help = "Write the whole log of an organisation, with its verifier, to a zip. The file appears when it is complete."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="the organisation's short name")
        parser.add_argument("file", type=Path, metavar="FILE.zip")
        parser.add_argument("--records", action="store_true", help="with the content of records, where not erased")
        parser.add_argument("--size", type=int, help="under the signed head of this many leaves (default: the newest)")
        parser.add_argument("--shard", type=int, help="an earlier log of the organisation (default: the growing one)")

    def handle(self, *args: Any, **options: Any) -> None:
        slug = options["tenant"]
        using = next(alias for alias in ("worker", "owner", "default") if alias in settings.DATABASES)
        tenant_id = tenant_named(slug, using)
        if tenant_id is None:
            raise CommandError(f"There is no organisation {slug!r}.")
        by = system_actor(tenant_id, "export_log", *(["decision.read_payload"] if options["records"] else []))
        path: Path = options["file"]
        partial = path.with_name(f"{path.name}.part")
        try:
            with partial.open("wb") as file:
                head = export_log(
                    by=by, file=file, shard=options["shard"], size=options["size"], with_records=options["records"]
                )
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except NotThere as error:
            raise CommandError(f"Nothing to export of {slug}: {error}") from None
        except (Altered, OSError) as error:
            raise CommandError(str(error)) from None
        finally:
            partial.unlink(missing_ok=True)
        self.stdout.write(f"{path}: {head.size:,} leaves of {head.note.partition(chr(10))[0]}")
