"""What an organisation's keys may use a second, by the operator."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.directory import tenant_named
from tenants.services import set_limits


class Command(BaseCommand):
    help = "Give an organisation limits of its own at the API, or (default) what the settings say for everybody."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="the organisation's short name")
        parser.add_argument("--records", default="default", metavar="N", help="recorded a second; 0: no limit")
        parser.add_argument("--requests", default="default", metavar="N", help="other requests a second; 0: no limit")
        parser.add_argument("--operator", required=True, metavar="PERSON", help="who does it; it stays in the log")

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in settings.DATABASES:
            raise CommandError("Set DATABASE_URL to an administrator's login: no other may change limits.")
        tenant_id = tenant_named(options["tenant"], "owner")
        if tenant_id is None:
            raise CommandError(f"There is no organisation {options['tenant']!r}.")
        records, requests = _limit(options["records"]), _limit(options["requests"])
        set_limits(tenant_id=tenant_id, operator=options["operator"], records=records, requests=requests)
        told = [f"{_told(records)} records", f"{_told(requests)} requests"]
        self.stdout.write(f"{options['tenant']}: {' and '.join(told)} a second, within a few seconds from now.")


def _limit(text: str) -> int | None:
    if text == "default":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise CommandError(f"{text!r} is no limit: give a whole number, 0 for none, or `default`.")
    return int(text)


def _told(limit: int | None) -> str:
    return "the usual number of" if limit is None else f"{limit:,}" if limit else "any number of"
