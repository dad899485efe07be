"""`AFFIDAVIT_OIDC`: the identity providers of this instance, as allauth wants them."""

import json
from typing import Any

from django.core.exceptions import ImproperlyConfigured

REQUIRED = {"id", "name", "issuer", "client_id", "client_secret"}
OPTIONAL = {"domains", "asks_second_factor"}
SHAPE = (
    'a JSON list of {"id", "name", "issuer", "client_id", "client_secret"} and, if wanted, "domains" (a list: whose '
    'addresses it may vouch for) and "asks_second_factor" (true: its sign-in counts as one with a second factor)'
)


def social_providers(text: str | None) -> dict[str, Any]:
    """`SOCIALACCOUNT_PROVIDERS` of allauth. Raises `ImproperlyConfigured` with the shape that is wanted."""
    try:
        entries = json.loads(text) if text else []
        if not isinstance(entries, list):
            raise TypeError("no list")
        return {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [_app(entry) for entry in entries]}}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ImproperlyConfigured(f"AFFIDAVIT_OIDC must be {SHAPE}. ({error})") from None


def _app(entry: dict[str, Any]) -> dict[str, Any]:
    if lacking := REQUIRED - entry.keys():
        raise ValueError(f"lacks {', '.join(sorted(lacking))}")
    if unknown := entry.keys() - REQUIRED - OPTIONAL:
        raise ValueError(f"does not know {', '.join(sorted(unknown))}")
    if not isinstance(entry.get("domains", []), list):
        raise TypeError("domains is a list")
    return {
        "provider_id": entry["id"],
        "name": entry["name"],
        "client_id": entry["client_id"],
        "secret": entry["client_secret"],
        "settings": {
            "server_url": entry["issuer"].rstrip("/"),
            "domains": entry.get("domains", []),
            "asks_second_factor": bool(entry.get("asks_second_factor")),
        },
    }
