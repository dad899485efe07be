"""Thumbs from an application's own pages, under a key that anybody can read in their source.

So it opens nothing: it adds a judgement to a decision of its source whose id the page was given (74 random bits), from
pages of the origins it was made for, and no faster than people click. Who misuses it can add thumbs to what they were
shown themselves; each is in the ledger under the key's name, and can be told apart.
"""

import base64
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404
from django.utils import timezone

from tenants.access import get_row, require
from tenants.actors import Actor, Kind
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ledger.log import append
from tenants.models import SourceSystem
from traces.meaning.feedback import Judgement, give_feedback
from traces.models import Feedback, ThumbKey

PREFIX, NAME = "thumb", "thumbs"
SCORES = {"up": 1.0, "down": -1.0}
MOST_KEYS, MOST_ORIGINS, MOST_CHARACTERS = 20, 20, 1_000
WINDOW_SECONDS = 60
A_VISITOR, A_KEY = 20, 1_200  # thumbs a window
_HOST = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:]+\]", re.ASCII)


class TooMany(Exception):
    """More thumbs than people give."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A live key: whose, and where its pages are."""

    actor: Actor
    origins: Sequence[str]


def public_text(key: ThumbKey) -> str:
    """What a page sends: the key with its tenant, so that it is found without looking through tenants."""
    raw = base64.b32encode(key.tenant_id.bytes + key.pk.bytes).decode().lower().rstrip("=")
    return f"{PREFIX}_{raw}"


def checked_origin(text: str) -> str:
    """`https://shop.example.com`, as browsers send it; http only of this machine. Raises `ValidationError`."""
    try:
        parts = urlsplit(text.strip().lower())
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise ValidationError(f"{text} is no origin.") from None
    told = f"[{host}]" if ":" in host else host
    is_local = parts.scheme == "http" and host in {"localhost", "127.0.0.1"}
    if not (parts.scheme == "https" or is_local) or not _HOST.fullmatch(told) or len(text) > 200:
        raise ValidationError(f"{text} is no origin: write https:// and a host.")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValidationError(f"{text} is more than an origin: leave out what follows the host.")
    usual = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{told}" + (f":{port}" if port not in (None, usual) else "")


def create_thumb_key(*, by: Actor, name: str, source: SourceSystem, origins: Sequence[str]) -> ThumbKey:
    """A key for the pages of these origins. Raises `ValidationError`."""
    require(by, "key.manage")
    known = list(dict.fromkeys(map(checked_origin, origins)))
    if not known or len(known) > MOST_ORIGINS:
        raise ValidationError(f"Name one to {MOST_ORIGINS} origins.")
    with tenant_atomic(by.tenant_id):
        if ThumbKey.objects.filter(revoked_at=None).count() >= MOST_KEYS:
            raise ValidationError(f"There are {MOST_KEYS} keys already; revoke one first.")
        try:
            with transaction.atomic():
                key = ThumbKey.objects.create(name=name, source=source, origins=known)
        except IntegrityError:
            raise ValidationError(f"There is a key called {name} already.") from None
        append(Tag.THUMB_KEY_CREATED, by=by, body=_body(key), ref=key.pk)
    return key


def revoke_thumb_key(*, by: Actor, pk: uuid.UUID) -> ThumbKey:
    """End a key now; twice changes nothing. 404 where there is none."""
    require(by, "key.manage")
    with tenant_atomic(by.tenant_id):
        key = get_row(ThumbKey.objects.select_for_update(), pk=pk)
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            append(Tag.THUMB_KEY_REVOKED, by=by, body=_body(key), ref=key.pk)
    return key


def _body(key: ThumbKey) -> dict[str, object]:
    return {"key": str(key.pk), "name": key.name, "source": str(key.source_id), "origins": key.origins}


def open_key(text: str) -> Opened:
    """The live key of that text; `Http404` for any other."""
    prefix, _, raw = text.partition("_")
    try:
        both = base64.b32decode(raw.upper() + "=" * (-len(raw) % 8))
    except ValueError:
        both = b""
    if prefix != PREFIX or len(both) != 32:
        raise Http404("No such key.")
    tenant_id = uuid.UUID(bytes=both[:16])
    with tenant_atomic(tenant_id):
        key = ThumbKey.objects.filter(pk=uuid.UUID(bytes=both[16:]), revoked_at=None).first()
    if key is None:
        raise Http404("No such key.")
    may = frozenset({"feedback.write"})
    return Opened(Actor(Kind.KEY, tenant_id, key.name, may, key_id=key.pk, source_id=key.source_id), key.origins)


def give_thumb(*, by: Opened, decision: uuid.UUID, label: str, comment: str, visitor: str) -> Feedback:
    """Record a thumb. Raises `Http404` for a decision of another source, `ValidationError`, `TooMany`."""
    if label not in SCORES or len(comment) > MOST_CHARACTERS:
        raise ValidationError(f"A label is one of {', '.join(SCORES)}, a comment at most {MOST_CHARACTERS} characters.")
    _count(f"{by.actor.key_id}:{visitor}", A_VISITOR)
    _count(str(by.actor.key_id), A_KEY)
    row, _ = give_feedback(
        by=by.actor, decision_id=decision, judgement=Judgement(NAME, label, SCORES[label], comment.strip())
    )
    return row


def _count(subject: str, most: int) -> None:
    """One more of a subject in this window. Without Valkey nothing is counted, and nothing refused."""
    name = f"thumbs:{subject}"
    if cache.add(name, 1, WINDOW_SECONDS):
        return
    try:
        n = cache.incr(name)
    except ValueError:  # the window ended just now, or there is no cache
        return
    if n > most:
        raise TooMany
