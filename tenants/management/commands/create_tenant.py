"""A new organisation, by the operator."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, transaction

from tenants.invitations import find_or_invite, password_path
from tenants.services import create_tenant


class Command(BaseCommand):
    help = "Make an organisation with its first owner, who is invited by a link if they are new."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="its short name in addresses, such as acme-bank; never changes")
        parser.add_argument("name")
        parser.add_argument("--owner", required=True, metavar="EMAIL")
        parser.add_argument("--base-url", default="", help="put before the link, such as https://affidavit.example.org")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                invited = find_or_invite(email=options["owner"])
                tenant = create_tenant(slug=options["slug"], name=options["name"], owner=invited.user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except IntegrityError:
            raise CommandError(f"There is an organisation {options['slug']!r} already.") from None
        self.stdout.write(f"{tenant.name}: /t/{tenant.slug}/ (id {tenant.pk})")
        if invited.is_new:
            link = f"{options['base_url'].rstrip('/')}{password_path(invited.user)}"
            self.stdout.write(f"{invited.user.email} chooses a password at {link}")
