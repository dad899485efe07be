"""The edge of the web pages: which tenant, who is acting, one transaction."""

import uuid
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse

from tenants.access import Seat, actor_for, seats_of
from tenants.context import tenant_atomic

View = Callable[..., HttpResponse]


class TenantMiddleware:
    """Runs views under `/t/<tenant>/…` and `/admin/` as one member of one tenant, inside `tenant_atomic`.

    A tenant that does not exist and one the person does not belong to give the same 404.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """No browser and no proxy keeps an answer, unless the view said for how long: most hold what people wrote."""
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    def process_view(
        self, request: HttpRequest, view: View, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        slug = kwargs.pop("tenant", None)
        is_admin = request.path.startswith("/admin/") and request.user.is_authenticated
        if slug is None and not is_admin:
            return None
        seat = self.seat(request, slug)
        request.seat, request.actor = seat, actor_for(request.user, seat)  # type: ignore[attr-defined, arg-type]
        with tenant_atomic(seat.tenant_id):
            response = view(request, *args, **kwargs)
            # The admin leaves its templates to be rendered later, when the tenant would be gone.
            return response.render() if isinstance(response, SimpleTemplateResponse) else response

    def seat(self, request: HttpRequest, slug: str | None) -> Seat:
        """The person's seat in the tenant of the path, or (admin) in the one they looked at last."""
        seats = seats_of(request.user.pk) if isinstance(request.user.pk, uuid.UUID) else []
        wanted = slug or request.session.get("tenant")
        seat = next((seat for seat in seats if seat.slug == wanted), None)
        if seat is None and slug is None and seats:
            seat = seats[0]
        if seat is None:
            raise Http404("No such page.")
        if request.session.get("tenant") != seat.slug:
            request.session["tenant"] = seat.slug
        return seat
