"""People and their sign-ins as an organisation's pages show them. No writes."""

import json
import uuid
from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator

from tenants.events import Tag
from tenants.ids import uuid7_time
from tenants.models import LedgerEvent, Membership, User
from tenants.sign_in_rules import FACTORS

SHOWN = 50
SAID = {
    Tag.SIGNED_IN: ("Signed in", ""),
    Tag.SIGN_IN_REFUSED: ("Turned away", "caution"),
    Tag.SIGN_IN_GLASS_BROKEN: ("Came past single sign-on", "breach"),
    Tag.SECOND_FACTOR_ADDED: ("Second factor added", "note"),
    Tag.SECOND_FACTOR_REMOVED: ("Second factor removed", "caution"),
    Tag.PASSWORD_CHANGED: ("Password changed", "note"),
    Tag.IDENTITY_CONNECTED: ("Provider connected", "note"),
    Tag.SESSIONS_ENDED: ("Sessions ended", "note"),
    Tag.SIGN_IN_RULES_SET: ("Rules changed", "note"),
}
METHODS = {
    "password": "password",
    "totp": "authenticator app",
    "passkey": "passkey",
    "recovery_codes": "recovery code",
    "code": "second factor",
}


def sign_in_page(path: str, before: str) -> dict[str, Any]:
    """`rows` ([{at, person, email, what, tone, how}]) and `older_url`: one page of the log's own events."""
    shown = _newest(_uuid(before))
    more, shown = len(shown) > SHOWN, shown[:SHOWN]
    told = [(event, json.loads(bytes(event.body))) for event in shown]
    ids = {body["user"] for _, body in told if body.get("user")}
    people = {str(user.pk): user for user in User.objects.filter(pk__in=ids)}
    return {
        "rows": [_row(event, body, people) for event, body in told],
        "older_url": f"{path}?before={shown[-1].pk}" if more else "",
        "newer_url": path if before else "",
    }


def _newest(before: uuid.UUID | None) -> list[LedgerEvent]:
    """One more than a page, newest first: the newest of each tag from its index, then the newest of those."""
    events = LedgerEvent.objects.filter(**({"id__lt": before} if before else {})).order_by("-id")
    first, *rest = [events.filter(tag=tag)[: SHOWN + 1] for tag in SAID]
    return list(first.union(*rest, all=True).order_by("-id")[: SHOWN + 1])


def _row(event: LedgerEvent, body: dict[str, Any], people: dict[str, User]) -> dict[str, Any]:
    what, tone = SAID[Tag(event.tag)]
    person = people.get(str(body.get("user")))
    return {
        "at": _moment(body.get("at")) or uuid7_time(event.pk),
        "person": str(person) if person else str(body.get("label", "")),
        "email": person.email if person else "",
        "what": what,
        "tone": tone,
        "how": ", ".join(_method(method) for method in body.get("methods") or [body.get("method") or ""] if method),
    }


def _method(method: str) -> str:
    return f"provider {method[5:]}" if method.startswith("oidc:") else METHODS.get(method, method)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def people_without_factor() -> list[User]:
    """Members who have no second factor yet, by name: whom a rule would stop at the door."""
    members = [row.user for row in Membership.objects.select_related("user")]
    enrolled = set(Authenticator.objects.filter(user__in=members, type__in=FACTORS).values_list("user_id", flat=True))
    return sorted((person for person in members if person.pk not in enrolled), key=str)
