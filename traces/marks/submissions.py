"""Events as programs send them: what happened around the decisions. The whole request is good or none of it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from tenants.ledger.canonical import CanonicalError, dumps
from traces.submissions import BodyError, ItemsRefused, Problem

MAX_EVENTS = 1_000

Moment = Annotated[datetime, Meta(tz=True)]
Label = Annotated[str, Meta(max_length=200)]


class SubmittedEvent(Struct, forbid_unknown_fields=True, frozen=True):
    """One event; an empty system, environment or instance means all of them. `ended_at`: it lasted, and is over."""

    kind: Literal["deployment", "prompt_release", "incident", "config_change", "infrastructure"]
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    occurred_at: Moment
    ended_at: Moment | None = None
    external_id: Label = ""
    system: Label = ""
    environment: Annotated[str, Meta(max_length=100)] = ""
    instance: Label = ""
    version: Label = ""
    url: Annotated[str, Meta(max_length=500, pattern=r"^$|^https?://[^\s/]+(/\S*)?$")] = ""
    detail: Annotated[str, Meta(max_length=4_000)] = ""


@dataclass(frozen=True, slots=True)
class EventItem:
    """A valid event, and SHA-256 of the canonical JSON of what was sent."""

    typed: SubmittedEvent
    fingerprint: bytes


def read_events(value: Any) -> tuple[list[EventItem], bool]:
    """From one JSON object or an array of them: the events, and whether it was a single one.

    Raises `BodyError` for no event or too many, `ItemsRefused` naming every bad one.
    """
    values = value if isinstance(value, list) else [value]
    if not values:
        raise BodyError("The body holds no event.", 422)
    if len(values) > MAX_EVENTS:
        raise BodyError(f"{len(values)} events in one request; at most {MAX_EVENTS:,} are taken.", 413)
    found = [_check(index, one) for index, one in enumerate(values)]
    if problems := [one for one in found if isinstance(one, Problem)]:
        raise ItemsRefused(problems)
    return [one for one in found if isinstance(one, EventItem)], not isinstance(value, list)


def _check(index: int, value: Any) -> EventItem | Problem:
    if not isinstance(value, dict):
        return Problem(index, "", "An event is a JSON object.")
    raw = {name: member for name, member in value.items() if member is not None}
    try:
        typed = msgspec.convert(raw, SubmittedEvent, strict=True)
        fingerprint = hashlib.sha256(dumps(raw)).digest()
    except (msgspec.ValidationError, CanonicalError) as error:
        text, _, path = str(error).partition(" - at `$")
        return Problem(index, path.rstrip("`").replace(".", "/"), f"{text}.")
    if any("\0" in member for member in raw.values() if isinstance(member, str)):
        return Problem(index, "", "The character U+0000 cannot be stored.")
    if typed.ended_at is not None and typed.ended_at < typed.occurred_at:
        return Problem(index, "/ended_at", "It ends before it began.")
    if not all(1970 < at.year < 9999 for at in (typed.occurred_at, typed.ended_at) if at is not None):
        return Problem(index, "/occurred_at", "The year is out of range.")
    return EventItem(typed, fingerprint)
