"""What a view under `/t/<tenant>/` is given."""

from django.http import HttpRequest

from tenants.access import Seat
from tenants.actors import Actor
from tenants.models import User


class TenantRequest(HttpRequest):
    """A request that `TenantMiddleware` has let through: one person, acting in one tenant."""

    actor: Actor
    seat: Seat
    user: User
