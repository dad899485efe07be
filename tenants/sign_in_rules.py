"""What an organisation asks of whoever signs in to it: a second factor, its own identity provider, from when on."""

from datetime import datetime

from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError

from tenants.access import require
from tenants.actors import Actor
from tenants.assurance import SignInRules
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.identity import identity_provider
from tenants.ledger.log import append
from tenants.models import Membership, Tenant
from tenants.roles import Role

FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def rules_of(tenant: Tenant) -> SignInRules:
    """The organisation's rules as they stand."""
    return SignInRules(tenant.second_factor_from, tenant.sso_provider, tenant.sso_from)


def set_sign_in_rules(*, by: Actor, rules: SignInRules) -> SignInRules:
    """Change the rules. They count from the next request of every session, or from the moment that they name.

    Single sign-on needs an owner with a second factor: the one way in when the provider fails.
    """
    require(by, "tenant.manage")
    if (rules.sso_from is None) != (not rules.sso_provider):
        raise ValidationError("Single sign-on needs a provider and a moment, or neither.")
    if rules.sso_provider and identity_provider(rules.sso_provider) is None:
        raise ValidationError("This instance has no such identity provider.")
    with tenant_atomic(by.tenant_id):
        if rules.sso_provider and not _an_owner_has_a_factor():
            raise ValidationError(
                "An owner needs a second factor first: that is how the organisation is opened when the provider fails."
            )
        tenant = Tenant.objects.get(pk=by.tenant_id)
        before = rules_of(tenant)
        if before != rules:
            tenant.second_factor_from, tenant.sso_from = rules.second_factor_from, rules.sso_from
            tenant.sso_provider = rules.sso_provider
            tenant.save(update_fields=["second_factor_from", "sso_provider", "sso_from"])
            append(Tag.SIGN_IN_RULES_SET, by=by, body={"before": _said(before), "after": _said(rules)})
    return rules


def _an_owner_has_a_factor() -> bool:
    owners = Membership.objects.filter(roles__contains=[Role.OWNER]).values_list("user_id", flat=True)
    return bool(Authenticator.objects.filter(user_id__in=list(owners), type__in=FACTORS).exists())


def _said(rules: SignInRules) -> dict[str, str | None]:
    return {
        "second_factor_from": _moment(rules.second_factor_from),
        "sso_provider": rules.sso_provider or None,
        "sso_from": _moment(rules.sso_from),
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
