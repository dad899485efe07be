"""The edge of the web pages: which tenant, who is acting, one transaction."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.template.response import SimpleTemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect

from tenants.access import Seat, actor_for, seats_of
from tenants.assurance import admission, proof_of
from tenants.context import tenant_atomic
from tenants.metering import metered
from tenants.problems import is_too_slow
from tenants.sessions import is_fresh, note_seen
from tenants.signin_log import record_glass_broken

View = Callable[..., HttpResponse]

# Who does one of these shows again who they are, unless they just did: the page to come back to, by what was posted.
CONFIRMED = {
    "api-key-list": "api-key-list",
    "api-key-rotate": "api-key-list",
    "member-list": "member-list",
    "member-edit": "member-list",
    "member-invite": "member-list",
    "sign-in-rules": "sign-in-rules",
}


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

    A tenant that does not exist and one the person does not belong to give the same 404. A session that has not shown
    what the tenant asks for (`tenants.assurance`) is led to where it can, whatever it asked for; this is the only door.
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
        if elsewhere := self.turned_away(request, seat) or self.asked_again(request, seat):
            return elsewhere
        note_seen(request)
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

    def asked_again(self, request: HttpRequest, seat: Seat) -> HttpResponse | None:
        """The way to a confirmation, before what gives somebody rights is done; None where it needs none."""
        page = CONFIRMED.get(request.resolver_match.url_name or "") if request.resolver_match else None
        if page is None or request.method != "POST" or is_fresh(request):
            return None
        messages.info(request, "Confirm that it is you, then do it again: nothing was changed.")
        query = urlencode({"next": reverse(page, args=[seat.slug])})
        return redirect(f"{reverse('account_reauthenticate')}?{query}")

    def turned_away(self, request: HttpRequest, seat: Seat) -> HttpResponse | None:
        """The way to what this session has still to show; None for one that may come in."""
        proof = proof_of(request)
        decided = admission(seat.rules, proof, seat.roles, datetime.now(UTC))
        if decided.lack is not None:
            way = resolve_url("admission", seat.slug)
            return HttpResponseClientRedirect(way) if request.htmx else redirect(way)  # type: ignore[attr-defined]
        if decided.is_emergency and seat.slug not in request.session.setdefault("glass_broken", []):
            record_glass_broken(user=request.user, seat=seat, methods=proof.methods)  # type: ignore[arg-type]
            request.session["glass_broken"] = [*request.session["glass_broken"], seat.slug]
        return None
