"""Pages of a tenant itself: which one, its members, its keys, a check of its log."""

import uuid
from datetime import UTC, datetime

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tenants.access import Seat, get_row, require, seats_of
from tenants.forms import KeyForm, MemberForm, RolesForm
from tenants.invitations import find_or_invite, password_path, renew_invitation
from tenants.ledger.health import check_head
from tenants.ledger.reader import log_of
from tenants.models import ApiKey, Membership, User
from tenants.presentation import key_rows, member_rows
from tenants.requests import TenantRequest
from tenants.services import (
    NewKey,
    add_member,
    change_roles,
    create_key,
    create_source,
    remove_member,
    revoke_key,
    rotate_key,
)


def _seats(request: HttpRequest) -> list[Seat]:
    return seats_of(request.user.pk) if isinstance(request.user, User) else []


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """`/`: the organisation looked at last, or the only one, or the choice."""
    seats = _seats(request)
    last = next((seat for seat in seats if seat.slug == request.session.get("tenant")), None)
    seat = last or (seats[0] if len(seats) == 1 else None)
    return redirect("tenant-home", seat.slug) if seat else redirect("tenant-choose")


@require_safe
def tenant_choose(request: HttpRequest) -> HttpResponse:
    """Every organisation in which the person has a seat; whoever has one only is not asked."""
    seats = _seats(request)
    if len(seats) == 1:
        return redirect("tenant-home", seats[0].slug)
    tenants = [{"name": seat.name, "slug": seat.slug, "role": seat.role_names} for seat in seats]
    return render(request, "tenants/tenant_choose.html", {"tenants": tenants})


@require_POST
def ledger_verify(request: TenantRequest) -> HttpResponse:
    """Check the newest signed head against the stored tree, now, and say so above the ledger page."""
    require(request.actor, "ledger.read")
    checked = check_head(log_of())
    (messages.success if checked.holds else messages.error)(request, checked.text)
    return redirect("ledger-health", request.seat.slug)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def member_list(request: TenantRequest) -> HttpResponse:
    """Who belongs here; whoever manages members adds one."""
    require(request.actor, "ledger.read")
    may = request.actor.may("member.manage")
    form = MemberForm(request.POST or None) if may else None
    invitation = None
    if request.method == "POST":
        require(request.actor, "member.manage")
        if form is not None and form.is_valid():
            invitation = _add_member(request, form)
            form = form if form.errors else MemberForm()
    return _members_page(request, form, invitation)


def _members_page(request: TenantRequest, form: MemberForm | None, invitation: dict[str, str] | None) -> HttpResponse:
    """The page of members. A link is in this answer only, as a key's secret is."""
    context = {
        "members": member_rows(request.seat.slug, request.actor),
        "form": form,
        "action_url": reverse("member-list", args=[request.seat.slug]),
        "invitation": invitation,
    }
    return render(request, "tenants/member_list.html", context)


@never_cache
@require_POST
def member_invite(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Another link for a member who has not come in yet."""
    require(request.actor, "member.manage")
    membership = get_row(Membership.objects.select_related("user"), pk=pk)
    try:
        path = renew_invitation(by=request.actor, membership=membership)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("member-list", request.seat.slug)
    invitation = {"email": membership.user.email, "url": request.build_absolute_uri(path)}
    return _members_page(request, MemberForm(), invitation)


def _add_member(request: TenantRequest, form: MemberForm) -> dict[str, str] | None:
    """Seat the person; for a new account returns the link that its owner must get, shown this once."""
    data = form.cleaned_data
    invited = find_or_invite(email=data["email"], name=data["name"])
    try:
        add_member(by=request.actor, user=invited.user, roles=data["roles"])
    except ValidationError as error:
        form.add_error(None, error)
        return None
    messages.success(request, f"{invited.user} is a member now.")
    if not invited.is_new:
        return None
    return {"email": invited.user.email, "url": request.build_absolute_uri(password_path(invited.user))}


@require_http_methods(["GET", "HEAD", "POST"])
def member_edit(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Change a member's roles."""
    require(request.actor, "member.manage")
    membership = get_row(Membership.objects.select_related("user"), pk=pk)
    form = RolesForm(request.POST or None, initial={"roles": membership.roles})
    if request.method == "POST" and form.is_valid():
        try:
            change_roles(by=request.actor, membership=membership, roles=form.cleaned_data["roles"])
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, f"The roles of {membership.user} are changed.")
            return redirect("member-list", request.seat.slug)
    back_url = reverse("member-list", args=[request.seat.slug])
    return render(request, "tenants/member_form.html", {"member": membership.user, "form": form, "back_url": back_url})


@require_POST
def member_remove(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """Take a seat away."""
    require(request.actor, "member.manage")
    membership = get_row(Membership.objects.select_related("user"), pk=pk)
    try:
        remove_member(by=request.actor, membership=membership)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, f"{membership.user} is no longer a member.")
    if membership.user_id == request.actor.user_id:
        return redirect("tenant-choose")
    return redirect("member-list", request.seat.slug)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def key_list(request: TenantRequest) -> HttpResponse:
    """Every key, and a form to make one."""
    require(request.actor, "key.manage")
    form = KeyForm(request.POST or None)
    made = None
    if request.method == "POST" and form.is_valid():
        made = _make_key(request, form)
        form = form if form.errors else KeyForm()
    return _keys_page(request, form, made)


def _make_key(request: TenantRequest, form: KeyForm) -> NewKey | None:
    data = form.cleaned_data
    try:
        source = form.existing_source()
        if source is None and data["source"].strip():
            source = create_source(by=request.actor, name=data["source"])
        return create_key(
            by=request.actor, name=data["name"], scopes=data["scopes"], source=source, expires_at=data["expires_at"]
        )
    except ValidationError as error:
        form.add_error(None, forms.ValidationError(error.messages))
        return None


def _keys_page(request: TenantRequest, form: forms.Form, made: NewKey | None) -> HttpResponse:
    """The page of keys. A secret is in this answer only: it is never stored, so no redirect can carry it."""
    context = {
        "keys": key_rows(request.seat.slug, datetime.now(UTC)),
        "new_key": {"name": made.row.name, "secret": made.secret} if made else None,
        "form": form,
        "action_url": reverse("api-key-list", args=[request.seat.slug]),
    }
    return render(request, "tenants/api_key_list.html", context)


@never_cache
@require_POST
def key_rotate(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """A new secret for the same program; the old one keeps working for a while."""
    require(request.actor, "key.manage")
    key = get_row(ApiKey.objects.all(), pk=pk)
    try:
        made = rotate_key(by=request.actor, key=key)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("api-key-list", request.seat.slug)
    return _keys_page(request, KeyForm(), made)


@require_POST
def key_revoke(request: TenantRequest, pk: uuid.UUID) -> HttpResponse:
    """End a key now."""
    require(request.actor, "key.manage")
    key = get_row(ApiKey.objects.all(), pk=pk)
    revoke_key(by=request.actor, key=key)
    messages.success(request, f"The key “{key.name}” is revoked.")
    return redirect("api-key-list", request.seat.slug)
