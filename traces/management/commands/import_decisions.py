"""Import decision files through the public API."""

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.authentication import KeyRefused, parse_key
from traces.import_formats import FORMATS
from traces.importing import Client, ImportFailed, Progress, import_file

REPORT_SECONDS = 5.0


class Command(BaseCommand):
    help = "Submit JSONL files (plain or .gz), one decision a line. Run it again to go on after an interruption."
    requires_system_checks: list[str] = []  # noqa: RUF012  Django's own attribute

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--key", required=True, help="an ingest key")
        parser.add_argument("--tenant", default="", help="only shown: the key itself says whose records these are")
        parser.add_argument("--base-url", default="http://localhost:8000")
        parser.add_argument("--batch", type=int, default=200, help="decisions a request, at most 1,000")
        parser.add_argument("--format", default="auto", choices=["auto", *FORMATS])
        parser.add_argument("--state", type=Path, default=Path(".affidavit/imports"), help="where progress is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            parse_key(options["key"])
            client = Client(options["base_url"], options["key"])
            total = sum(self.import_one(client, path, options) for path in options["files"])
        except (ImportFailed, KeyRefused) as error:
            raise CommandError(str(error)) from None
        to = f" to {options['tenant']}" if options["tenant"] else ""
        self.stdout.write(self.style.SUCCESS(f"{total:,} decisions submitted{to}."))

    def import_one(self, client: Client, path: Path, options: dict[str, Any]) -> int:
        """One file, with a line of progress every few seconds."""
        self.last_report = time.monotonic()

        def report(progress: Progress) -> None:
            if time.monotonic() - self.last_report > REPORT_SECONDS:
                self.last_report = time.monotonic()
                self.show(path, progress)

        progress = import_file(
            path,
            client,
            state=options["state"],
            batch_size=options["batch"],
            format_name=options["format"],
            report=report,
        )
        self.show(path, progress)
        return progress.accepted + progress.replayed

    def show(self, path: Path, progress: Progress) -> None:
        """`file: 1,200 lines, 1,200 accepted, 0 there before, 850/s`."""
        self.stdout.write(
            f"{path.name}: {progress.lines:,} lines, {progress.accepted:,} accepted,"
            f" {progress.replayed:,} there before, {progress.per_second:,.0f}/s"
        )
