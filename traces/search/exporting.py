"""Decisions as a file that streams: whole, in one order, with a last line that says how much it was.

The last line holds the number of rows and SHA-256 of every byte before it: a file without it was cut off. The ledger
holds the same two, who took it, and each reading of content.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db.models import Q

from tenants.access import require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import first_uuid_at
from tenants.ledger.canonical import dumps
from tenants.ledger.log import append
from traces.models import Decision
from traces.representation import detail, summary
from traces.sealing import Content
from traces.selectors import DecisionFilter, matching, members_of, next_rows, open_payloads

PAGE = 500
FORMULA = tuple("=+-@\t\r\n|")  # what a spreadsheet would take for a formula, or run
COLUMNS = (
    "id", "occurred_at", "received_at", "system", "environment", "task", "external_id", "trace_id", "span_id",
    "session", "user", "agent", "instance", "model_provider", "model", "model_version", "input_tokens",
    "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_micros", "currency",
    "latency_ms", "outcome", "verdict", "action", "policy_set", "policy_match", "leaf_hash",
)  # fmt: skip
CONTENT = ("input", "output", "erased")


@dataclass(frozen=True, slots=True)
class Format:
    """How rows become bytes. `last` is given the number of rows and the digest so far."""

    media_type: str
    first: Callable[[bool], bytes]
    row: Callable[[Decision, Content | None, bool], bytes]
    last: Callable[[int, str], bytes]


def export_decisions(*, by: Actor, wanted: DecisionFilter, form: str, now: datetime) -> Iterator[bytes]:
    """The bytes of a file of everything that matches and was received before `now`, newest first.

    Whoever may read content gets it, and each page of it is a reading; others get what the list shows. Nothing is read
    before the first byte is asked for; each page is a transaction of its own, so that a slow reader holds none open.
    """
    require(by, "decision.export")
    return _export(by, wanted.for_reader(by), form, now)


def _export(by: Actor, wanted: DecisionFilter, form: str, now: datetime) -> Iterator[bytes]:
    shape, with_content = FORMATS[form], by.may("decision.read_payload")
    digest, rows, is_whole = hashlib.sha256(), 0, False
    with tenant_atomic(by.tenant_id):
        said = matching(wanted, limit=None).condition if wanted.q else Q()
    said &= Q(pk__lt=first_uuid_at(now))
    try:
        chunk = shape.first(with_content)
        digest.update(chunk)
        yield chunk
        last: Decision | None = None
        while True:
            page, chunk = _page(by, wanted, said, last, shape)
            rows += len(page)
            digest.update(chunk)
            yield chunk
            if len(page) < PAGE:
                break
            last = page[-1]
        is_whole = True
        yield shape.last(rows, digest.hexdigest())
    finally:  # whoever stops half-way has read half of it
        body = {"format": form, "rows": rows, "sha256": digest.hexdigest(), "is_whole": is_whole}
        with tenant_atomic(by.tenant_id):
            append(Tag.DECISIONS_EXPORTED, by=by, body=body | {"filter": wanted.as_dict(), "content": with_content})


def _page(
    by: Actor, wanted: DecisionFilter, said: Q, last: Decision | None, shape: Format
) -> tuple[list[Decision], bytes]:
    with_content = by.may("decision.read_payload")
    with tenant_atomic(by.tenant_id):
        page = next_rows(wanted, last, PAGE, said)
        contents = open_payloads(page, by=by, purpose="export") if with_content else {}
        chunk = b"".join(shape.row(decision, contents.get(decision.pk), with_content) for decision in page)
    return page, chunk


# --- JSON lines -----------------------------------------------------------------------------------------------------


def _json_row(decision: Decision, content: Content | None, with_content: bool) -> bytes:
    shown = detail(decision, content) if with_content else summary(decision)
    return dumps(shown) + b"\n"


def _json_last(rows: int, digest: str) -> bytes:
    return orjson.dumps({"export": {"rows": rows, "sha256": digest}}) + b"\n"


# --- CSV (RFC 4180) -------------------------------------------------------------------------------------------------


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that could be one begins with an apostrophe."""
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA):
        return f"'{value}"
    return value


def _csv_line(cells: list[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow([safe_cell(cell) for cell in cells])
    return out.getvalue().encode()


def _csv_first(with_content: bool) -> bytes:
    return _csv_line([*COLUMNS, *(CONTENT if with_content else ())])


def _csv_row(decision: Decision, content: Content | None, with_content: bool) -> bytes:
    shown = summary(decision)
    model, cost = shown.pop("model", {}), shown.pop("cost", None) or {}
    flat = shown | shown.pop("usage", {}) | {"cost_micros": cost.get("micros"), "currency": cost.get("currency")}
    flat |= {"model_provider": model.get("provider"), "model": model.get("name"), "model_version": model.get("version")}
    cells = [flat.get(name, "") for name in COLUMNS]
    return _csv_line(cells + (_content_cells(content) if with_content else []))


def _content_cells(content: Content | None) -> list[str]:
    if content is None:
        return ["", "", "true"]
    members: Mapping[str, Any] = members_of(content)
    said = [members.get("input"), members.get("output")]
    return [*(one if isinstance(one, str) else orjson.dumps(one).decode() if one else "" for one in said), "false"]


def _csv_last(rows: int, digest: str) -> bytes:
    return f"# rows={rows} sha256={digest}\r\n".encode()


FORMATS = {
    "jsonl": Format("application/x-ndjson", lambda _: b"", _json_row, _json_last),
    "csv": Format("text/csv; charset=utf-8", _csv_first, _csv_row, _csv_last),
}
