"""A person's own pages, outside any organisation: their sessions, and what an organisation still asks of them."""

from datetime import UTC, datetime

from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from tenants.access import Seat, seats_of
from tenants.assurance import Lack, admission, proof_of
from tenants.events import Tag
from tenants.identity import identity_provider
from tenants.models import User
from tenants.sessions import end_session, end_sessions, live_sessions
from tenants.sign_in_rules import FACTORS
from tenants.signin_log import record_for_seats


class ChoosePassword(PasswordResetConfirmView):
    """An invitation's link: a password, once. Whoever was signed in with an older one is not any more."""

    template_name = "registration/password_choose.html"
    success_url = reverse_lazy("account_login")
    title = "Choose a password"

    def form_valid(self, form: "SetPasswordForm[User]") -> HttpResponse:
        response = super().form_valid(form)
        end_sessions(user=form.user)
        record_for_seats(Tag.PASSWORD_CHANGED, user=form.user, body={"method": "link"})
        return response


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404("No such page.")
    return request.user


@never_cache
@require_safe
def session_list(request: HttpRequest) -> HttpResponse:
    """Where the person is signed in."""
    return render(request, "tenants/session_list.html", {"sessions": live_sessions(request), "tab": "sessions"})


@require_POST
def session_end(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign out one of them; somebody else's is as if it were over."""
    if end_session(user=_person(request), session_id=pk):
        messages.success(request, "That session is over.")
    else:
        messages.info(request, "That session was over already.")
    return redirect("session-list")


@require_POST
def session_end_others(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    ended = end_sessions(user=_person(request), but=request.session.session_key or "")
    messages.success(request, f"Signed out in {ended} other place{'' if ended == 1 else 's'}.")
    return redirect("session-list")


@never_cache
@require_safe
def admission_page(request: HttpRequest, organisation: str) -> HttpResponse:
    """What an organisation of the person asks for that this session has not shown, and the way there."""
    user = _person(request)
    seat = next((seat for seat in seats_of(user.pk) if seat.slug == organisation), None)
    if seat is None:
        raise Http404("No such page.")
    lack = admission(seat.rules, proof_of(request), seat.roles, datetime.now(UTC)).lack
    if lack is None:
        return redirect("tenant-home", seat.slug)
    context = _sso_way(seat) if lack == Lack.SSO else _factor_way(user, seat)
    return render(request, "tenants/admission.html", {"seat_name": seat.name, "lack": lack} | context)


def _sso_way(seat: Seat) -> dict[str, object]:
    provider, home = identity_provider(seat.rules.sso_provider), reverse("tenant-home", args=[seat.slug])
    url = f"{reverse('openid_connect_login', args=[provider.id])}?next={home}" if provider else ""
    return {"provider": provider, "url": url}


def _factor_way(user: User, seat: Seat) -> dict[str, object]:
    """Whoever has a factor shows it; whoever has none sets one up."""
    if not is_mfa_enabled(user, FACTORS):
        return {"is_enrolled": False}
    way = "mfa_reauthenticate" if is_mfa_enabled(user, FACTORS[:1]) else "mfa_reauthenticate_webauthn"
    return {"is_enrolled": True, "url": f"{reverse(way)}?next={reverse('tenant-home', args=[seat.slug])}"}
