"""A person's sessions: where they are signed in, and ending that. Django's sessions carry them, allauth's rows tell of
them."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from allauth.account.authentication import get_authentication_records
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.http import HttpRequest

from tenants.events import Tag
from tenants.models import User
from tenants.signin_log import record_for_seats

SEEN_EVERY = 300.0  # seconds: how exact "last seen" is, so that a page does not cost a write
SEEN = "seen_at"


@dataclass(frozen=True, slots=True)
class LiveSession:
    """One place where the person is signed in."""

    id: int
    started_at: datetime
    seen_at: datetime
    ip: str
    browser: str
    is_current: bool


def live_sessions(request: HttpRequest) -> list[LiveSession]:
    """This person's sessions that still open something, the newest first. Two queries, however many they are."""
    rows = list(UserSession.objects.filter(user_id=request.user.pk).order_by("-created_at"))
    keys = [row.session_key for row in rows]
    alive = set(
        Session.objects.filter(session_key__in=keys, expire_date__gt=datetime.now(UTC)).values_list("pk", flat=True)
    )
    return [_live(row, row.session_key == request.session.session_key) for row in rows if row.session_key in alive]


def _live(row: UserSession, is_current: bool) -> LiveSession:
    return LiveSession(
        id=row.pk,
        started_at=row.created_at,
        seen_at=row.last_seen_at,
        ip=row.ip,
        browser=browser_name(row.user_agent),
        is_current=is_current,
    )


def browser_name(user_agent: str) -> str:
    """A browser and a system as people call them; what is not known is shown as it came, cut short."""
    browsers = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
    systems = {"Windows": "Windows", "iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Mac OS X": "macOS"}
    browser = next((name for mark, name in browsers.items() if mark in user_agent), "")
    system = next((name for mark, name in (systems | {"Linux": "Linux"}).items() if mark in user_agent), "")
    return f"{browser} on {system}" if browser and system else browser or user_agent[:60] or "Unknown"


def note_seen(request: HttpRequest) -> None:
    """Keep "last seen" true to a few minutes."""
    now = time.time()
    if now - request.session.get(SEEN, 0.0) > SEEN_EVERY:
        request.session[SEEN] = now
        key = request.session.session_key
        UserSession.objects.filter(session_key=key).update(last_seen_at=datetime.fromtimestamp(now, UTC))


def is_fresh(request: HttpRequest) -> bool:
    """Whether this session showed who it is within the last few minutes."""
    records = get_authentication_records(request, request.user)
    newest = max((float(record["at"]) for record in records), default=0.0)
    return time.time() - newest < float(settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)


def end_session(*, user: User, session_id: int) -> bool:
    """Sign out one place; False when it is not the person's, or over already."""
    row = UserSession.objects.filter(user=user, pk=session_id).first()
    if row is None:
        return False
    row.end()
    record_for_seats(Tag.SESSIONS_ENDED, user=user, body={"sessions": 1})
    return True


def end_sessions(*, user: User, but: str = "") -> int:
    """Sign out everywhere, but for the session of that key; returns how many that were."""
    rows = list(UserSession.objects.filter(user=user).exclude(session_key=but))
    for row in rows:
        row.end()
    if rows:
        record_for_seats(Tag.SESSIONS_ENDED, user=user, body={"sessions": len(rows)})
    return len(rows)
