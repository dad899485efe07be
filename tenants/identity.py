"""Identity providers (OpenID Connect): the operator's to name, an organisation's to insist on.

A provider can say who somebody is to every organisation here, so trusting one is a decision about the instance: they
come from `AFFIDAVIT_OIDC`, never from a tenant's settings (see ADR 16).
"""

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """What sign-in asks of a provider. `domains`: whose addresses it may vouch for; empty: anybody's."""

    id: str
    name: str
    domains: tuple[str, ...] = ()
    asks_second_factor: bool = False

    def vouches_for(self, email: str) -> bool:
        """Whether this provider may say that somebody is the owner of the address."""
        return not self.domains or email.rpartition("@")[2].lower() in self.domains


def identity_providers() -> list[IdentityProvider]:
    """Every provider of this instance, in the operator's order."""
    return [
        IdentityProvider(
            app["provider_id"],
            app["name"],
            tuple(domain.lower() for domain in app["settings"].get("domains", ())),
            bool(app["settings"].get("asks_second_factor")),
        )
        for app in settings.SOCIALACCOUNT_PROVIDERS.get("openid_connect", {}).get("APPS", ())
    ]


def identity_provider(provider_id: str) -> IdentityProvider | None:
    """The provider of that id, if the operator still names it."""
    return next((provider for provider in identity_providers() if provider.id == provider_id), None)
