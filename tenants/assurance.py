"""How sure an organisation wants to be of who comes in, and how sure a session is. Pure but for `proof_of`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest

from tenants.identity import identity_provider
from tenants.roles import Role


@dataclass(frozen=True, slots=True)
class SignInRules:
    """What an organisation asks of its members. A moment ahead is a grace; None: not asked."""

    second_factor_from: datetime | None = None
    sso_provider: str = ""
    sso_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a session has shown: the ways it was signed in with, the providers that vouched, a second factor."""

    methods: tuple[str, ...] = ()
    providers: frozenset[str] = frozenset()
    has_second_factor: bool = False


class Lack(StrEnum):
    """What stands between a session and an organisation."""

    SECOND_FACTOR = "second_factor"
    SSO = "sso"


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a session may come in: `lack` is what it must show first, `is_emergency` that an owner came past SSO."""

    lack: Lack | None = None
    is_emergency: bool = False


def admission(rules: SignInRules, proof: Proof, roles: Collection[str], now: datetime) -> Admission:
    """Weigh a session.

    Where SSO is asked for, two sorts of member come in without it, both with a second factor of ours: an owner, so that
    a provider that fails locks nobody out for good, and an external auditor, whom the provider does not know.
    """
    if rules.sso_from is not None and rules.sso_from <= now and rules.sso_provider not in proof.providers:
        is_owner = Role.OWNER in roles
        if not is_owner and set(roles) != {Role.EXTERNAL_AUDITOR}:
            return Admission(Lack.SSO)
        return Admission(None, is_owner) if proof.has_second_factor else Admission(Lack.SECOND_FACTOR)
    if rules.second_factor_from is not None and rules.second_factor_from <= now and not proof.has_second_factor:
        return Admission(Lack.SECOND_FACTOR)
    return Admission()


def proof_of(request: HttpRequest) -> Proof:
    """What this request's session has shown, from what sign-in wrote into it."""
    return proof_from(get_authentication_records(request, request.user))


def proof_from(records: Sequence[Mapping[str, Any]]) -> Proof:
    """From allauth's records: `{"method": "password" | "mfa" | "socialaccount", "type"?, "provider"?}`."""
    providers = frozenset(str(record["provider"]) for record in records if record.get("method") == "socialaccount")
    known = [provider for name in providers if (provider := identity_provider(name))]
    return Proof(
        methods=tuple(dict.fromkeys(_method(record) for record in records)),
        providers=frozenset(provider.id for provider in known),
        has_second_factor=any(record.get("method") == "mfa" for record in records)
        or any(provider.asks_second_factor for provider in known),
    )


def _method(record: Mapping[str, Any]) -> str:
    if record.get("method") == "mfa":
        return "passkey" if record.get("type") == "webauthn" else str(record.get("type"))
    return f"oidc:{record.get('provider')}" if record.get("method") == "socialaccount" else str(record.get("method"))
