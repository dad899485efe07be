"""Signing in: allauth's flows with this product's rules. Nobody signs up; nothing tells who has an account.

Wrong passwords are counted for an address and the place they come from, so nobody can lock another person out, and
for the place alone, so nobody can try one password on everybody. While Redis is away passwords still work (their hash
is slow by itself); codes of a second factor, which are short, do not.
"""

import base64
import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.forms import LoginForm
from allauth.account.internal.flows.login import record_authentication
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, _build_apps_from_settings
from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError

from tenants import crypto
from tenants.assurance import proof_from
from tenants.events import Tag
from tenants.factors import is_first_use
from tenants.identity import identity_provider
from tenants.models import User
from tenants.sessions import end_sessions, is_fresh
from tenants.signin_log import note_refusal, record_for_seats

logger = logging.getLogger("affidavit.security")
FACTOR_LABEL = "affidavit/second-factor/v1"

# What allauth would send a mail about, and what the logs of the person's organisations say of it.
CHANGES = {
    "mfa/email/totp_activated": (Tag.SECOND_FACTOR_ADDED, "totp"),
    "mfa/email/webauthn_added": (Tag.SECOND_FACTOR_ADDED, "passkey"),
    "mfa/email/totp_deactivated": (Tag.SECOND_FACTOR_REMOVED, "totp"),
    "mfa/email/webauthn_removed": (Tag.SECOND_FACTOR_REMOVED, "passkey"),
    "mfa/email/recovery_codes_generated": (Tag.SECOND_FACTOR_ADDED, "recovery_codes"),
    "account/email/password_changed": (Tag.PASSWORD_CHANGED, "password"),
    "account/email/password_set": (Tag.PASSWORD_CHANGED, "password"),
    "socialaccount/email/account_connected": (Tag.IDENTITY_CONNECTED, "oidc"),
}
ENROLMENTS = {
    "mfa/email/totp_activated": Authenticator.Type.TOTP,
    "mfa/email/webauthn_added": Authenticator.Type.WEBAUTHN,
}
SILENT = {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Passwords, and what is said and recorded around every way of signing in."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "The e-mail address or the password is not correct.",
        "too_many_login_attempts": "Too many attempts. Wait a quarter of an hour, then try again.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People come by invitation, or from a directory."""
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        key = f"{credentials.get('email', '').strip().lower()}|{self.get_client_ip(request)}"
        try:
            usage = ratelimit.consume(request, app="allauth.account", action="login_failed", key=key)
        except RedisError:
            logger.exception("sign-in attempts are not counted: the cache does not answer")
            return
        self._login_failed_rl_usage = usage
        if not usage:
            raise self.validation_error("too_many_login_attempts")

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        email = str(credentials.get("email", "")).strip().lower()
        note_refusal(user=User.objects.filter(email=email).first(), method="password")
        logger.warning("sign-in refused")

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **kwargs)
        proof = proof_from(get_authentication_records(request, user))
        record_for_seats(Tag.SIGNED_IN, user=user, body={"methods": list(proof.methods)})
        return response

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever has signed in just now has said who they are."""
        return not is_fresh(self.request) and super().is_reauthentication_required(app=app, **kwargs)

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """allauth tells a person by mail what changed in their account; here the logs of their organisations say it."""
        if template_prefix in ENROLMENTS:
            self._count_enrolment(user, ENROLMENTS[template_prefix])
        if template_prefix.startswith("account/email/password"):
            end_sessions(user=user, but=self.request.session.session_key or "")
        if template_prefix in CHANGES:
            tag, what = CHANGES[template_prefix]
            account = (context or {}).get("account")
            record_for_seats(tag, user=user, body={"method": f"oidc:{account.provider}" if account else what})

    def _count_enrolment(self, user: User, kind: str) -> None:
        """A factor that was proven while it was set up has been shown in this session."""
        newest = Authenticator.objects.filter(user=user, type=kind).order_by("-pk")[0]
        record_authentication(self.request, user, "mfa", id=newest.pk, type=kind)

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        if message_template not in SILENT:
            super().add_message(request, level, message_template, *args, **kwargs)


class IdentityAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """OpenID Connect: a provider says whose address it is; whether that person is somebody here is known already."""

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> list[Any]:
        """Those of `AFFIDAVIT_OIDC`; none from the database."""
        apps = _build_apps_from_settings(provider=provider, client_id=client_id)
        return [app for listed in apps.values() for app in listed]

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """The first time, find the person by an address that the provider has verified and may vouch for."""
        if sociallogin.is_existing:
            return
        provider = identity_provider(sociallogin.account.provider)
        addresses = [address.email.lower() for address in sociallogin.email_addresses if address.verified]
        vouched = [address for address in addresses if provider is not None and provider.vouches_for(address)]
        user = User.objects.filter(email__in=vouched, is_active=True).first()
        if user is not None:
            sociallogin.connect(request, user)

    def on_authentication_error(self, request: HttpRequest, provider: Any, *args: Any, **kwargs: Any) -> None:
        logger.warning("sign-in through %s failed: %s", provider.app.provider_id, kwargs.get("error"))


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors. Their secrets lie in the database sealed under a key of the instance."""

    error_messages = DefaultMFAAdapter.error_messages | {"incorrect_code": "This code is not correct, or was used."}

    def encrypt(self, text: str) -> str:
        return base64.b64encode(crypto.seal(_secret_key(), text.encode(), FACTOR_LABEL.encode())).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.unseal(_secret_key(), base64.b64decode(encrypted_text), FACTOR_LABEL.encode()).decode()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Affidavit"}

    def generate_authenticator_name(self, user: User, type: str) -> str:
        """Names to tell passkeys apart; their owner may change them."""
        return f"Passkey {Authenticator.objects.filter(user=user, type=type).count() + 1}"


def _secret_key() -> bytes:
    return crypto.derive(crypto.master_key(), FACTOR_LABEL)


class SignInForm(LoginForm):  # type: ignore[misc]
    """Address and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
        self.fields["login"].widget.attrs |= {"autocomplete": "username webauthn", "autofocus": True}


class CodeForm(AuthenticateForm):  # type: ignore[misc]
    """The code of a second factor, while signing in."""

    code = forms.CharField(
        label="Code",
        max_length=32,
        help_text="From your authenticator app, or one of your recovery codes.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "text", "autofocus": True}),
    )

    def clean_code(self) -> str:
        try:
            code = str(super().clean_code())
            if not is_first_use(self.user, code):
                raise get_mfa_adapter().validation_error("incorrect_code")
        except ValidationError:
            note_refusal(user=self.user, method="code")
            raise
        return code


class CodeAgainForm(ReauthenticateForm):  # type: ignore[misc]
    """The same, to confirm who is sitting there."""

    code = CodeForm.base_fields["code"]

    def clean_code(self) -> str:
        code = str(super().clean_code())
        if not is_first_use(self.user, code):
            raise get_mfa_adapter().validation_error("incorrect_code")
        return code


class PasskeyForm(AuthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey as the second factor, while signing in."""

    def clean_credential(self) -> Authenticator:
        try:
            return super().clean_credential()
        except ValidationError:
            note_refusal(user=self.user, method="passkey")
            raise


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]
    """A new passkey."""

    name = forms.CharField(
        required=False, max_length=60, help_text="To tell it from others: “Phone”, “Key in the safe”."
    )
    passwordless = forms.BooleanField(
        required=False,
        initial=True,
        label="Sign in with it alone",
        help_text="It then asks for your finger, your face or a PIN. Clear this for an old security key that cannot.",
    )
