"""A key for a program, by the operator; members make theirs on the page of keys."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.access import actor_for, seats_of
from tenants.context import tenant_atomic
from tenants.models import Scope, SourceSystem, User
from tenants.services import create_key, create_source


class Command(BaseCommand):
    help = "Make an API key in the name of a member who may; prints the secret, which is not shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="the organisation's short name")
        parser.add_argument("name", help="what uses the key")
        parser.add_argument("--by", required=True, metavar="EMAIL", help="a member who may make keys")
        parser.add_argument("--scope", choices=Scope.values, default=Scope.INGEST)
        parser.add_argument(
            "--source", default="", help="for an ingest key: the application; a new name makes a new one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["by"].strip().lower()).first()
        seats = seats_of(user.pk) if user else []
        seat = next((seat for seat in seats if seat.slug == options["tenant"]), None)
        if user is None or seat is None:
            raise CommandError(f"{options['by']} is not a member of {options['tenant']}.")
        by = actor_for(user, seat)
        try:
            with tenant_atomic(by.tenant_id):
                source = SourceSystem.objects.filter(name=options["source"]).first()
                if source is None and options["source"]:
                    source = create_source(by=by, name=options["source"])
                made = create_key(by=by, name=options["name"], scopes=[options["scope"]], source=source)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self.stdout.write(made.secret)
