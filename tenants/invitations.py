"""People who are new here: an account, and a link with which they choose their password."""

from dataclasses import dataclass

from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from tenants.models import User


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


def password_path(user: User) -> str:
    """Where the person chooses a password: works once, for as long as `PASSWORD_RESET_TIMEOUT`.

    Only whoever has just made the account may be shown it: to anybody else it is a way into another's account.
    """
    return reverse(
        "password-choose", args=[urlsafe_base64_encode(force_bytes(user.pk)), default_token_generator.make_token(user)]
    )
