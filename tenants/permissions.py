"""DRF permission: a view names what it needs, by method."""

from typing import Any, ClassVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from tenants.actors import Actor


class HasScope(BasePermission):
    """Grants what the view's `permissions` names for the method; a view without one is closed."""

    message: ClassVar[str] = "This key may not do that; it needs another scope."

    def has_permission(self, request: Request, view: Any) -> bool:
        actor = request.auth
        needed = getattr(view, "permissions", {}).get(request.method)
        return isinstance(actor, Actor) and needed is not None and actor.may(needed)


def actor_of(request: Request) -> Actor:
    """The program behind a request that `ApiKeyAuthentication` let in."""
    actor: Any = request.auth
    if not isinstance(actor, Actor):
        raise TypeError("The view is not guarded by ApiKeyAuthentication.")
    return actor
