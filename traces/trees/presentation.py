"""Traces, sessions and users as their pages show them. No writes."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from traces.conversation import Turn, turns
from traces.costs.charts import money
from traces.marks.durations import duration, milliseconds
from traces.models import FAILED, Decision, Span
from traces.rows import span_hex
from traces.sealing import Content
from traces.selectors import members_of
from traces.trees.selectors import Session, Stay
from traces.trees.tree import Line, Tree

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("not said", "ok", "error")
DEEPEST = 24  # levels that are still set further to the right
LEAST_WIDTH = 0.4  # per cent: a short span is still seen


def costs(found: Mapping[str, int]) -> str:
    """Sums of money, each currency for itself."""
    return ", ".join(money(micros, currency) for currency, micros in sorted(found.items()))


def trace_row(tree: Tree, line: Line, closed: Collection[int], page_url: str) -> dict[str, Any]:
    """A line of the waterfall."""
    node, whole = line.node, tree.duration.total_seconds() or 1.0
    start = (node.at - tree.since).total_seconds() / whole * 100
    width = max(node.duration_us / 1_000_000 / whole * 100, LEAST_WIDTH)
    is_closed = line.number in closed
    folded = sorted(set(closed) ^ {line.number})
    return {
        "number": line.number,
        "level": line.depth + 1,
        "indent": min(line.depth, DEEPEST),
        "key": node.key,
        "name": node.name,
        "sub": node.sub,
        "is_decision": bool(node.decision),
        "is_failed": node.is_failed,
        "is_orphan": line.is_orphan,
        "n_below": line.n_below,
        "n_failed_below": line.n_failed_below,
        "is_closed": is_closed,
        "action": node.action if node.action != "allow" else "",
        "model": node.model,
        "tokens": node.tokens,
        "cost": money(node.cost_micros, node.currency) if node.cost_micros is not None else "",
        "duration": milliseconds(node.duration_us),
        "x": f"{min(start, 100 - LEAST_WIDTH):.3f}",
        "width": f"{min(width, 100 - min(start, 100 - LEAST_WIDTH)):.3f}",
        "span_url": f"{page_url}spans/{node.key}/",
        "open_url": f"{page_url}?{urlencode({'span': node.key})}",
        "fold_url": f"{page_url}?{urlencode({'closed': ','.join(map(str, folded))})}",
    }


def trace_head(tree: Tree) -> list[dict[str, Any]]:
    """The figures over the waterfall."""
    failed = f"{tree.n_failed:,} failed" if tree.n_failed else "none failed"
    return [
        {"label": "Took", "value": duration(tree.duration), "note": f"from {tree.since:%-d %b %Y, %H:%M:%S}"},
        {"label": "Spans", "value": f"{len(tree.lines):,}", "note": failed, "tone": "breach" if tree.n_failed else ""},
        {"label": "Decisions", "value": f"{tree.n_decisions:,}", "note": "with content and proof"},
        {"label": "Cost", "value": costs(tree.costs) or "—", "note": f"{tree.tokens:,} tokens"},
    ]


def span_panel(found: Decision | Span, content: Content | None, *, hidden: bool, slug: str) -> dict[str, Any]:
    """What is shown beside the waterfall of the line that was opened."""
    if isinstance(found, Span):
        pairs = [
            ("Service", found.service), ("Instance", found.instance), ("Environment", found.environment),
            ("Kind", KINDS[found.kind] if 0 <= found.kind < len(KINDS) else ""), ("Status", STATUSES[found.status]),
            ("Started", f"{found.started_at:%H:%M:%S.%f}"), ("Took", milliseconds(found.duration_us)),
        ]  # fmt: skip
        ids = [{"label": "Span", "value": span_hex(found.span_id), "hash": True}]
        failed = found.status == 2
        return {"title": found.name, "pairs": _pairs(pairs) + ids, "is_failed": failed, "is_decision": False}
    members = members_of(content) if content else {}
    status = ((members.get("metadata") or {}).get("otel") or {}).get("status") or {}
    tokens = [found.input_tokens, found.output_tokens]
    pairs = [
        ("System", str(found.deployment)), ("Model", str(found.model_version) if found.model_version.name else ""),
        ("Instance", found.instance), ("Started", f"{found.occurred_at:%H:%M:%S.%f}"),
        ("Took", f"{found.latency_ms:,} ms" if found.latency_ms is not None else ""),
        ("Tokens", f"{tokens[0] or 0:,} in, {tokens[1] or 0:,} out" if any(n is not None for n in tokens) else ""),
        ("Cost", money(found.cost_micros, found.currency or "") if found.cost_micros is not None else ""),
        ("Error", str(status.get("message") or "failed") if status.get("code") == 2 else ""),
    ]  # fmt: skip
    return {
        "title": found.agent or found.deployment.task or found.deployment.system,
        "pairs": _pairs(pairs),
        "is_failed": found.outcome == FAILED or status.get("code") == 2 or found.verdict == "error",
        "is_decision": True,
        "action": found.action,
        "asked": said_last(turns(members.get("input"), "user")),
        "answer": turns(members.get("output"), "assistant"),
        "is_hidden": hidden,
        "is_erased": content is None and not hidden,
        "url": reverse("decision-detail", args=[slug, found.pk]),
    }


def _pairs(entries: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"label": label, "value": value} for label, value in entries if value]


def said_last(said: Sequence[Turn]) -> list[Turn]:
    """What is new in an input: applications send the whole conversation again with each turn."""
    new: list[Turn] = []
    for turn in reversed(said):
        if turn.role in {"assistant", "system", "developer"}:
            break
        new.append(turn)
    return new[::-1]


def session_turn(decision: Decision, content: Content | None, *, hidden: bool, slug: str) -> dict[str, Any]:
    """One decision as its part of the conversation."""
    members = members_of(content) if content else {}
    return {
        "url": reverse("decision-detail", args=[slug, decision.pk]),
        "trace_url": reverse("trace", args=[slug, decision.trace_id.hex]) if decision.trace_id else "",
        "at": decision.occurred_at,
        "where": decision.agent or decision.deployment.task or decision.deployment.system,
        "model": str(decision.model_version) if decision.model_version.name else "",
        "action": decision.action if decision.action != "allow" else "",
        "is_failed": decision.outcome == FAILED,
        "latency": f"{decision.latency_ms:,} ms" if decision.latency_ms is not None else "",
        "cost": money(decision.cost_micros, decision.currency or "") if decision.cost_micros is not None else "",
        "asked": said_last(turns(members.get("input"), "user")),
        "answer": turns(members.get("output"), "assistant"),
        "is_hidden": hidden,
        "is_erased": content is None and not hidden,
    }


def session_head(session: Session) -> list[dict[str, Any]]:
    """The figures over the conversation."""
    runaway = session.runaway
    note = f"{money(runaway.lost_micros, runaway.currency)} more than usual" if runaway else ""
    return [
        {"label": "Lasted", "value": duration(session.duration), "note": f"since {session.first_at:%-d %b %Y, %H:%M}"},
        {"label": "Decisions", "value": f"{session.n:,}", "note": "counted some seconds after they are recorded"},
        {"label": "Tokens", "value": f"{session.tokens:,}", "note": ""},
        {"label": "Cost", "value": costs(session.costs) or "—", "note": note, "tone": "breach" if runaway else ""},
    ]


def stay_row(stay: Stay, slug: str, user: str) -> dict[str, Any]:
    """A line of a user's sessions."""
    listed = f"{reverse('decision-list', args=[slug])}?{urlencode({'user': user})}"
    own = f"{reverse('session', args=[slug])}?{urlencode({'id': stay.name})}"
    return {
        "name": stay.name or "outside any session",
        "url": own if stay.name else listed,
        "first_at": stay.first_at,
        "lasted": duration(stay.last_at - stay.first_at) if stay.n > 1 else "",
        "n": stay.n,
        "systems": ", ".join(stay.systems),
        "cost": costs(stay.costs) or "—",
        "n_acted": stay.n_acted,
    }


def day_bars(days: Sequence[tuple[datetime, int]]) -> dict[str, Any]:
    """Decisions of each day as bars in a box of 100 × 40."""
    most = max((n for _, n in days), default=0)
    pitch = 100 / max(len(days), 1)
    bars = [
        {"x": f"{number * pitch:.2f}", "width": f"{pitch * 0.8:.2f}", "y": f"{40 - 40 * n / most:.2f}",
         "height": f"{40 * n / most:.2f}", "title": f"{at:%-d %b}: {n:,}"}
        for number, (at, n) in enumerate(days) if n
    ]  # fmt: skip
    return {"bars": bars, "most": most, "first": days[0][0], "last": days[-1][0]}
