"""People who are new here: an account, and a link with which they choose their password."""

from dataclasses import dataclass

from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from tenants.access import require, seats_of
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from tenants.models import Membership, User


@dataclass(frozen=True, slots=True)
class Invited:
    """A person, and whether the account was made just now."""

    user: User
    is_new: bool


def find_or_invite(*, email: str, name: str = "") -> Invited:
    """The account of an address, made if there is none. A new one has no password until its link is used."""
    address = email.strip().lower()
    with transaction.atomic():
        user = User.objects.filter(email=address).first()
        if user is not None:
            return Invited(user, is_new=False)
        return Invited(User.objects.create_user(address, name=name.strip()), is_new=True)


def is_expected(user: User) -> bool:
    """Whether the person was invited and has never come in: no password, no other way used."""
    return user.last_login is None and not user.has_usable_password()


def renew_invitation(*, by: Actor, membership: Membership) -> str:
    """Another link for somebody who has not come in yet; the one before stops working. Returns its path.

    Refused once anybody else has a claim on the account: whoever holds the link holds the account.
    """
    require(by, "member.manage")
    with tenant_atomic(by.tenant_id):
        user = User.objects.select_for_update().get(pk=membership.user_id)
        if not is_expected(user) or any(seat.tenant_id != by.tenant_id for seat in seats_of(user.pk)):
            raise ValidationError(
                "Only its owner can open this account: they came in before, or others invited them, too."
            )
        user.set_unusable_password()  # a link is bound to what the password was: older ones are over
        user.save(update_fields=["password"])
        append(Tag.MEMBER_INVITED, by=by, body={"user": str(user.pk), "email": user.email})
    return password_path(user)


def password_path(user: User) -> str:
    """Where the person chooses a password: works once, for as long as `PASSWORD_RESET_TIMEOUT`.

    Only who invites the person may be shown it: to anybody else it is a way into another's account.
    """
    return reverse(
        "password-choose", args=[urlsafe_base64_encode(force_bytes(user.pk)), default_token_generator.make_token(user)]
    )
