"""The state of trust on one panel: is everything recorded, signed, held outside, complete, and read?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.humanize.templatetags.humanize import intcomma

from tenants.ledger.reader import Health
from tenants.models import LedgerAnchor, LogState
from tenants.presentation import SINKS
from traces.completeness import Incomplete


@dataclass(frozen=True, slots=True)
class Line:
    """One statement. `ok` None: it cannot be said, or is not set up."""

    title: str
    detail: str
    ok: bool | None


def trust_lines(
    health: Health, anchors: Sequence[LedgerAnchor], gaps: Sequence[Incomplete], n_unread: int
) -> list[Line]:
    """What can be said about a tenant's records, the ledger first."""
    return [_signed(health), _held(health, anchors), _complete(gaps), _backlog(health, n_unread)]


def _signed(health: Health) -> Line:
    size, unsigned = health.log.size, health.log.size - health.covered
    if health.log.state == LogState.FROZEN:
        return Line("The log is frozen", "The signer refused a tree that does not continue what it signed.", False)
    if health.checkpoint is None:
        return Line("Nothing is signed yet", "The first signed head comes seconds after the first record.", None)
    detail = f"{intcomma(size)} leaves, the newest head signed {health.checkpoint.signed_at:%-d %b, %H:%M:%S} UTC"
    waiting = "One leaf waits" if unsigned == 1 else f"{intcomma(unsigned)} leaves wait"
    if not health.is_current:
        return Line(f"{waiting} too long for a signature", detail, False)
    return Line(f"{waiting} for the next head" if unsigned else "Everything is signed", detail, True)


def _held(health: Health, anchors: Sequence[LedgerAnchor]) -> Line:
    if not anchors:
        has_head = health.checkpoint is not None
        detail = "No place outside the database has taken a head." if has_head else "Heads go out within a minute."
        return Line("Not held outside", detail, None)
    newest = max(anchors, key=lambda anchor: anchor.size)
    places = ", ".join(sorted(SINKS.get(anchor.sink, anchor.sink) for anchor in anchors))
    when = f", {newest.tried_at:%-d %b, %H:%M:%S} UTC" if newest.tried_at else ""
    return Line("Held outside", f"{places}: {intcomma(newest.size)} leaves{when}", True)


def _complete(gaps: Sequence[Incomplete]) -> Line:
    if not gaps:
        return Line("No gap", "No number is missing among those that sources gave their records.", True)
    missing = sum(gap.missing for gap in gaps)
    names = ", ".join(gap.source for gap in gaps[:3])
    return Line(
        f"{intcomma(missing)} record{'s' if missing != 1 else ''} missing", f"Numbers skipped by {names}.", False
    )


def _backlog(health: Health, n_unread: int) -> Line:
    queued = f"{intcomma(health.queued)}{' or more' if health.queued_capped else ''}"
    parts = [f"{queued} wait for their place in the ledger"] if health.queued else []
    if n_unread:
        parts.append(f"{intcomma(n_unread)} are still to be read for search by meaning")
    is_late = health.oldest_queued > timedelta() and not health.is_current
    title = "No backlog" if not parts else "A backlog"
    return Line(title, f"{'; '.join(parts).capitalize()}." if parts else "Nothing waits.", not is_late)
