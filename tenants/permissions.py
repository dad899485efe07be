"""DRF permission: a view names what it needs, by method."""

from typing import Any, ClassVar

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from tenants.actors import Actor


class HasScope(BasePermission):
    """Grants what the view's `permissions` names for the method; a view without one is closed.

    A method that the view does not have is 405 for whoever has a key, not a matter of scope.
    """

    message: ClassVar[str] = "This key may not do that; it needs another scope."

    def has_permission(self, request: Request, view: Any) -> bool:
        actor, method = request.auth, str(request.method)
        if isinstance(actor, Actor) and not hasattr(view, method.lower()):
            raise MethodNotAllowed(method)
        needed = getattr(view, "permissions", {}).get("GET" if method == "HEAD" else method)
        return isinstance(actor, Actor) and needed is not None and actor.may(needed)


def actor_of(request: Request) -> Actor:
    """The program behind a request that `ApiKeyAuthentication` let in."""
    actor: Any = request.auth
    if not isinstance(actor, Actor):
        raise TypeError("The view is not guarded by ApiKeyAuthentication.")
    return actor
