"""Members, keys and the log as pages show them: the contexts that templates/tenants documents. No writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Q
from django.urls import reverse

from tenants.actors import Actor
from tenants.invitations import is_expected
from tenants.ledger.links import links
from tenants.ledger.reader import Health
from tenants.models import (
    AnchorState,
    ApiKey,
    LedgerAnchor,
    LedgerCheckpoint,
    LedgerKey,
    LedgerLog,
    LogState,
    Membership,
)
from tenants.roles import Role

CHECKPOINTS_SHOWN = 20
ANCHORS_LOOKED_AT = 12
EXPIRING_WITHIN = timedelta(days=14)
SINKS = {"file": "File on another volume", "rfc3161": "Time-stamping authority", "witness": "Witness"}


def member_rows(slug: str, actor: Actor) -> list[dict[str, Any]]:
    """Every member by name, with what the actor may do to them."""
    may = actor.may("member.manage")
    members = Membership.objects.select_related("user")
    return sorted(
        (_member_row(slug, actor, member, may) for member in members), key=lambda row: (row["name"], row["email"])
    )


def _member_row(slug: str, actor: Actor, member: Membership, may: bool) -> dict[str, Any]:
    return {
        "name": member.user.name,
        "email": member.user.email,
        "role_names": ", ".join(Role(role).label for role in member.roles),
        "added_at": member.added_at,
        "expires_at": member.expires_at,
        "is_self": member.user_id == actor.user_id,
        "is_expected": is_expected(member.user),
        "invite_url": reverse("member-invite", args=[slug, member.pk]) if may and is_expected(member.user) else None,
        "edit_url": reverse("member-edit", args=[slug, member.pk]) if may else None,
        "remove_url": reverse("member-remove", args=[slug, member.pk]) if may else None,
    }


def key_rows(slug: str, now: datetime) -> list[dict[str, Any]]:
    """Every key, newest first; one that is over can only be looked at."""
    return [_key_row(slug, key, now) for key in ApiKey.objects.select_related("source").order_by("-id")]


def _key_row(slug: str, key: ApiKey, now: datetime) -> dict[str, Any]:
    state, label = key_state(key, now)
    is_over = state in {"revoked", "expired"}
    return {
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "source": key.source.name if key.source else "",
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "state": state,
        "state_label": label,
        "rotate_url": None if is_over else reverse("api-key-rotate", args=[slug, key.pk]),
        "revoke_url": None if is_over else reverse("api-key-revoke", args=[slug, key.pk]),
    }


def key_state(key: ApiKey, now: datetime) -> tuple[str, str]:
    """The key's state and how to say it."""
    if key.revoked_at is not None:
        return "revoked", "Revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired", "Expired"
    if key.expires_at is not None and key.expires_at - now < EXPIRING_WITHIN:
        return "expiring", "Expires soon"
    return "active", "Active"


def expiring_keys(now: datetime) -> list[ApiKey]:
    """Keys that end soon, the first to end first."""
    soon = ApiKey.objects.filter(revoked_at=None, expires_at__gt=now, expires_at__lt=now + EXPIRING_WITHIN)
    return list(soon.order_by("expires_at"))


def log_panel(health: Health) -> dict[str, Any]:
    """`log` of the ledger page."""
    log, covered = health.log, health.covered
    vkeys = LedgerKey.objects.filter(shard=log.shard).order_by("-first_used_at").values_list("vkey", flat=True)
    waiting = max(health.oldest_queued, health.unsigned)
    return {
        "origin": log.origin,
        "vkey": vkeys.first() or "",
        "size": log.size,
        "root": bytes(log.root).hex(),
        "state": log.state,
        "integrated_at": log.integrated_at,
        "queued": health.queued,
        "unsigned": log.size - covered,
        "oldest_seconds": round(waiting.total_seconds()) if waiting else None,
        "mmd_seconds": settings.AFFIDAVIT_MMD_SECONDS,
        "is_healthy": health.is_current and log.state == LogState.ACTIVE,
    }


def log_tiles(health: Health) -> list[dict[str, Any]]:
    """The figures over the ledger page."""
    unsigned = health.log.size - health.covered
    queued = f"{intcomma(health.queued)}{'+' if health.queued_capped else ''}"
    signed_at = health.checkpoint.signed_at if health.checkpoint else None
    return [
        {"label": "Leaves", "value": intcomma(health.log.size), "note": "in the tree"},
        {"label": "Waiting", "value": queued, "note": _age(health.oldest_queued), "tone": _tone(health.oldest_queued)},
        {
            "label": "Not yet signed",
            "value": intcomma(unsigned),
            "note": _age(health.unsigned),
            "tone": _tone(health.unsigned),
        },
        {
            "label": "Last checkpoint",
            "value": f"{signed_at:%H:%M:%S}" if signed_at else "—",
            "note": "UTC" if signed_at else "nothing signed yet",
        },
    ]


def _age(waited: timedelta) -> str:
    return f"oldest {waited.total_seconds():.0f} s" if waited else "nothing waits"


def _tone(waited: timedelta) -> str:
    return "" if waited < timedelta(seconds=settings.AFFIDAVIT_MMD_SECONDS) else "breach"


@dataclass(frozen=True, slots=True)
class CheckpointPage:
    """Some checkpoints of one log, newest first, and the size below which older ones follow (0: none)."""

    rows: list[dict[str, Any]]
    before: int


def checkpoint_page(log: LedgerLog, before: int = 0) -> CheckpointPage:
    """The checkpoints below a size (0: the newest), each with who holds it outside."""
    heads = LedgerCheckpoint.objects.filter(shard=log.shard, **({"size__lt": before} if before else {})).order_by(
        "-size"
    )
    shown = list(heads[: CHECKPOINTS_SHOWN + 1])
    more, shown = len(shown) > CHECKPOINTS_SHOWN, shown[:CHECKPOINTS_SHOWN]
    anchors = _anchors_of(log, shown)
    rows = [
        {
            "size": head.size,
            "root": bytes(head.root).hex(),
            "signed_at": head.signed_at,
            "anchors": [{"sink": SINKS.get(a.sink, a.sink), "state": a.state} for a in anchors if a.size == head.size],
        }
        for head in shown
    ]
    return CheckpointPage(rows, shown[-1].size if more else 0)


def _anchors_of(log: LedgerLog, heads: Sequence[LedgerCheckpoint]) -> list[LedgerAnchor]:
    sizes = [head.size for head in heads]
    return list(LedgerAnchor.objects.filter(shard=log.shard, size__in=sizes).order_by("sink")) if sizes else []


def anchor_entries(log: LedgerLog) -> list[dict[str, Any]]:
    """The last attempt of each kind of anchor."""
    entries = []
    for sink, label in SINKS.items():
        last = LedgerAnchor.objects.filter(Q(sink=sink), shard=log.shard).order_by("-size").first()
        if last is not None:
            entries.append(
                {
                    "sink": label,
                    "size": last.size,
                    "state": last.state,
                    "state_label": AnchorState(last.state).label,
                    "detail": last.detail,
                    "tried_at": last.tried_at,
                }
            )
    return entries


def held_outside(log: LedgerLog) -> list[LedgerAnchor]:
    """The newest head that a place outside holds, for each kind of place that took one of the last few. One query."""
    held = LedgerAnchor.objects.filter(shard=log.shard, state=AnchorState.ANCHORED)
    newest: dict[str, LedgerAnchor] = {}
    for anchor in held.order_by("-size")[:ANCHORS_LOOKED_AT]:
        newest.setdefault(anchor.sink, anchor)
    return list(newest.values())


def ledger_context(slug: str, health: Health, before: int = 0) -> dict[str, Any]:
    """Everything on the ledger page that this app knows; `sources` is left to who knows of records."""
    page, panel = checkpoint_page(health.log, before), log_panel(health)
    url = reverse("ledger-health", args=[slug])
    return {
        "log": panel,
        "tiles": log_tiles(health),
        "checkpoint": health.checkpoint,
        "checkpoints": page.rows,
        "shown": len(page.rows),
        "newer_url": url if before else "",
        "older_url": f"{url}?before={page.before}" if page.before else "",
        "anchors": anchor_entries(health.log),
        "earlier": [link for _, link in sorted(links(range(1, health.log.shard)).items())],
        "verify_command": verify_command(panel["vkey"]),
        "verify_url": reverse("ledger-verify", args=[slug]),
        "checkpoint_url": reverse("api-ledger-checkpoint"),
        "key_url": reverse("api-ledger-key"),
    }


def verify_command(vkey: str) -> str:
    """What an auditor types to check a bundle alone."""
    return f"python3 affidavit_verify.py bundle.zip --vkey '{vkey}'"
