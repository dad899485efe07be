"""The protocol apart from HTTP and rows: filters, patches, and what goes over the wire (RFC 7643, RFC 7644)."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_RESULTS = 200
MAX_OPERATIONS = 1_000
_EQUALS = re.compile(r'\s*([\w.:]+)\s+eq\s+"((?:[^"\\]|\\.)*)"\s*', re.IGNORECASE)
_MEMBER = re.compile(r'members\[value\s+eq\s+"([^"]*)"\]', re.IGNORECASE)

Document = Mapping[str, Any]


class ScimError(Exception):
    """What a client did wrong, in the protocol's words (RFC 7644 §3.12)."""

    def __init__(self, detail: str, scim_type: str = "invalidValue", status: int = 400) -> None:
        super().__init__(detail)
        self.scim_type, self.status = scim_type, status


def error_document(status: int, detail: str, scim_type: str = "") -> dict[str, Any]:
    """An error response."""
    return {"schemas": [ERROR], "status": str(status), "detail": detail} | (
        {"scimType": scim_type} if scim_type else {}
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What a body says of a user; None: nothing."""

    user_name: str | None = None
    external_id: str | None = None
    display_name: str | None = None
    active: bool | None = None


@dataclass(slots=True)
class Members:
    """What a body does to a group: exactly these, or these more and those less."""

    exactly: set[uuid.UUID] | None = None
    add: set[uuid.UUID] = field(default_factory=set)
    remove: set[uuid.UUID] = field(default_factory=set)


def read_filter(text: str, known: Sequence[str]) -> tuple[str, str] | None:
    """(attribute as in `known`, value) of `attribute eq "value"`, which is what identity providers send; None: none."""
    if not text:
        return None
    found = _EQUALS.fullmatch(text)
    names = {name.lower(): name for name in known}
    attribute = found[1].removeprefix(f"{USER}:").removeprefix(f"{GROUP}:").lower() if found else ""
    if found is None or attribute not in names:
        raise ScimError(f'Filter by one of {", ".join(known)}, as in: {known[0]} eq "value".', "invalidFilter")
    return names[attribute], re.sub(r"\\(.)", r"\1", found[2])


def read_page(start: str, count: str) -> tuple[int, int]:
    """(index of the first, from 0; how many): values out of range are brought into it (RFC 7644 §3.4.2.4)."""
    try:
        return max(int(start or 1), 1) - 1, min(max(int(count or MAX_RESULTS), 0), MAX_RESULTS)
    except ValueError:
        raise ScimError("startIndex and count are whole numbers.") from None


def read_user(body: Document) -> Told:
    """A whole user, of POST and PUT."""
    name = body.get("name") if isinstance(body.get("name"), dict) else {}
    user_name, active = body.get("userName"), body.get("active")
    if not isinstance(user_name, str) or not user_name.strip():
        raise ScimError("userName is needed: the person's e-mail address.")
    return Told(
        user_name.strip(),
        _text(body.get("externalId", ""), "externalId"),
        _text(body.get("displayName") or _full_name(name) or "", "displayName"),
        True if active is None else _truth(active),
    )


def _full_name(name: Any) -> str:
    parts = (name.get("givenName"), name.get("familyName"))
    return str(name.get("formatted") or " ".join(str(part) for part in parts if part))


def read_user_patch(body: Document) -> Told:
    """What the operations come to. Attributes that we do not keep are passed over, as clients send whole profiles."""
    found: dict[str, Any] = {}
    for operation, path, value in _operations(body):
        if operation == "remove":
            found[path.lower()] = ""
        elif path:
            found[path.lower()] = value
        elif isinstance(value, dict):
            found |= {name.lower(): one for name, one in value.items()}
        else:
            raise ScimError("An operation without a path has an object as its value.")
    found = {name.removeprefix(f"{USER.lower()}:"): value for name, value in found.items()}
    display = found.get("displayname") or found.get("name.formatted")
    if display is None and isinstance(name := found.get("name"), dict):
        display = _full_name(name) or None
    active = found.get("active")
    return Told(
        None if found.get("username") is None else _text(found["username"], "userName"),
        None if found.get("externalid") is None else _text(found["externalid"], "externalId"),
        None if display is None else _text(display, "displayName"),
        None if active is None or active == "" else _truth(active),
    )


def read_members(body: Document) -> Members:
    """A whole group, of PUT: its members are exactly these."""
    return Members(exactly=_ids(body.get("members") or []))


def read_group_patch(body: Document) -> Members:
    """What the operations do to the members; a name is fixed, and passed over."""
    members = Members()
    for operation, path, value in _operations(body):
        one = _MEMBER.fullmatch(path)
        given = value.get("members") if not path and isinstance(value, dict) else value
        if one:
            members.remove |= _ids([{"value": one[1]}])
        elif path.lower() not in {"", "members"} or (not path and given is None):
            continue
        elif operation == "add":
            members.add |= _ids(given)
        elif operation == "replace":
            members.exactly = _ids(given)
        else:
            members.exactly, members.remove = (set(), members.remove) if value is None else (None, _ids(value))
    return members


def _operations(body: Document) -> list[tuple[str, str, Any]]:
    found = body.get("Operations")
    if not isinstance(found, list) or not 0 < len(found) <= MAX_OPERATIONS:
        raise ScimError(f"Operations is a list of 1 to {MAX_OPERATIONS}.", "invalidSyntax")
    read = []
    for one in found:
        name = str(one.get("op", "")).lower() if isinstance(one, dict) else ""  # some clients write `Add`
        if name not in {"add", "remove", "replace"}:
            raise ScimError("op is add, remove or replace.", "invalidSyntax")
        read.append((name, str(one.get("path") or ""), one.get("value")))
    return read


def _ids(members: Any) -> set[uuid.UUID]:
    if not isinstance(members, list):
        raise ScimError("members is a list.")
    try:
        return {uuid.UUID(one["value"]) for one in members}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ScimError("A member has the id of a user as its value.") from None


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ScimError(f"{name} is a text.")
    return value


def _truth(value: Any) -> bool:
    """A boolean; as text too, which Microsoft Entra sends."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise ScimError("active is true or false.")
