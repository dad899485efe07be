"""The edge of the web pages: which tenant, who is acting, one transaction."""

import uuid
from collections.abc import Callable
from typing import Any

from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import SimpleTemplateResponse

from tenants.access import Seat, actor_for, seats_of
from tenants.context import tenant_atomic
from tenants.metering import metered
from tenants.problems import is_too_slow

View = Callable[..., HttpResponse]


class RateLimitMiddleware:
    """Lets each request to the API pay for itself, and tells how much is left (`RateLimit`, `RateLimit-Policy`)."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with metered() as meter:
            response = self.get_response(request)
        for name, value in meter.settle().items():
            response[name] = value
        if meter.refused is not None:
            response._has_been_logged = True  # type: ignore[attr-defined]  # a flood's every request would be, by Django
        return response


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
        try:
            with tenant_atomic(seat.tenant_id):
                response = view(request, *args, **kwargs)
                # The admin leaves its templates to be rendered later, when the tenant would be gone.
                return response.render() if isinstance(response, SimpleTemplateResponse) else response
        except OperationalError as error:
            if not is_too_slow(error):
                raise
            return render(request, "503.html", status=503)

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
