"""Decisions as a file that streams: whole, in one order, with an end that says how much it was.

The end holds the number of rows and SHA-256 of every byte before it: a file without it was cut off. It is the last
line, or Parquet's footer. The ledger holds the same two, who took it, and each reading of content.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson
from django.db.models import Q

from tenants.access import require
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.events import Tag
from tenants.ids import first_uuid_at, uuid7_time
from tenants.ledger.canonical import dumps
from tenants.ledger.log import append
from traces.models import Decision
from traces.recording import rfc3339
from traces.representation import detail, summary
from traces.sealing import Content
from traces.search.parquet import ParquetWriter
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

Line = tuple[Decision, Content | None]


class Writer(Protocol):
    """How pages of decisions become bytes, one a file. The digest is of what `begin`, `add` and `rest` return."""

    def begin(self) -> bytes: ...

    def add(self, page: Sequence[Line]) -> bytes:
        """The bytes of a page, or of earlier ones that were held back; may be none."""

    def rest(self) -> bytes:
        """What is still held back, after the last page."""

    def end(self, rows: int, digest: str) -> bytes:
        """What says how much it was."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file. `open` is told whether it is with content."""

    label: str
    media_type: str
    open: Callable[[bool], Writer]


def export_decisions(*, by: Actor, wanted: DecisionFilter, form: str, now: datetime) -> Iterator[bytes]:
    """The bytes of a file of everything that matches and was received before `now`, newest first.

    Whoever may read content gets it, and each page of it is a reading; others get what the list shows. Nothing is read
    before the first byte is asked for; each page is a transaction of its own, so that a slow reader holds none open.
    """
    require(by, "decision.export")
    return _export(by, wanted.for_reader(by), form, now)


def _export(by: Actor, wanted: DecisionFilter, form: str, now: datetime) -> Iterator[bytes]:
    with_content = by.may("decision.read_payload")
    writer = FORMATS[form].open(with_content)
    digest, rows, is_whole = hashlib.sha256(), 0, False
    with tenant_atomic(by.tenant_id):
        said = matching(wanted) if wanted.q else Q()
    said &= Q(pk__lt=first_uuid_at(now))
    try:
        chunk, last = writer.begin(), None
        while not is_whole:
            page = _page(by, wanted, said, last, with_content)
            is_last = len(page) < PAGE
            rows += len(page)
            chunk += writer.add(page) + (writer.rest() if is_last else b"")
            digest.update(chunk)
            if chunk:  # an empty chunk would end the body
                yield chunk
            chunk, last, is_whole = b"", None if is_last else page[-1][0], is_last
        yield writer.end(rows, digest.hexdigest())
    finally:  # whoever stops half-way has read half of it
        body = {"format": form, "rows": rows, "sha256": digest.hexdigest(), "is_whole": is_whole}
        with tenant_atomic(by.tenant_id):
            append(Tag.DECISIONS_EXPORTED, by=by, body=body | {"filter": wanted.as_dict(), "content": with_content})


def _page(by: Actor, wanted: DecisionFilter, said: Q, last: Decision | None, with_content: bool) -> list[Line]:
    with tenant_atomic(by.tenant_id):
        page = next_rows(wanted, last, PAGE, said)
        contents = open_payloads(page, by=by, purpose="export") if with_content else {}
    return [(decision, contents.get(decision.pk)) for decision in page]


# --- JSON lines -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JsonLines:
    """The API's form, a record a line."""

    with_content: bool

    def begin(self) -> bytes:
        return b""

    def add(self, page: Sequence[Line]) -> bytes:
        return b"".join(dumps(self._shown(*line)) + b"\n" for line in page)

    def _shown(self, decision: Decision, content: Content | None) -> dict[str, Any]:
        return detail(decision, content) if self.with_content else summary(decision)

    def rest(self) -> bytes:
        return b""

    def end(self, rows: int, digest: str) -> bytes:
        return orjson.dumps({"export": {"rows": rows, "sha256": digest}}) + b"\n"


# --- CSV (RFC 4180) -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Csv:
    """A row a decision; safe to open in a spreadsheet."""

    with_content: bool

    def begin(self) -> bytes:
        return _csv_lines([columns(self.with_content)])

    def add(self, page: Sequence[Line]) -> bytes:
        names = columns(self.with_content)
        return _csv_lines([[_csv_cell(cells.get(name)) for name in names] for cells in map(self._cells, page)])

    def _cells(self, line: Line) -> dict[str, Any]:
        return flat(*line, with_content=self.with_content)

    def rest(self) -> bytes:
        return b""

    def end(self, rows: int, digest: str) -> bytes:
        return f"# rows={rows} sha256={digest}\r\n".encode()


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that could be one begins with an apostrophe."""
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA):
        return f"'{value}"
    return value


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return rfc3339(value) if isinstance(value, datetime) else safe_cell(value)


def _csv_lines(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


# --- Columns: of CSV and of Parquet ---------------------------------------------------------------------------------


def columns(with_content: bool) -> list[str]:
    return [*COLUMNS, *(CONTENT if with_content else ())]


def flat(decision: Decision, content: Content | None, *, with_content: bool) -> dict[str, Any]:
    """The cells of a decision by `columns`; what it does not have is missing. Times are times."""
    shown = summary(decision)
    model, cost = shown.pop("model", {}), shown.pop("cost", None) or {}
    cells: dict[str, Any] = shown | shown.pop("usage", {})
    cells |= {"cost_micros": cost.get("micros"), "currency": cost.get("currency")}
    cells |= {"model": model.get("name"), "model_provider": model.get("provider")}
    cells |= {"model_version": model.get("version")}
    cells |= {"occurred_at": decision.occurred_at, "received_at": uuid7_time(decision.pk)}
    return cells | _said(content) if with_content else cells


def _said(content: Content | None) -> dict[str, Any]:
    if content is None:
        return {"erased": True}
    members: Mapping[str, Any] = members_of(content)
    sides = {name: members[name] for name in ("input", "output") if members.get(name)}
    texts = {name: said if isinstance(said, str) else orjson.dumps(said).decode() for name, said in sides.items()}
    return texts | {"erased": False}


def _parquet(with_content: bool) -> Writer:
    def cells(line: Line) -> dict[str, Any]:
        return flat(*line, with_content=with_content)

    return ParquetWriter(columns(with_content), cells)


FORMATS = {
    "csv": Format("CSV", "text/csv; charset=utf-8", Csv),
    "jsonl": Format("JSON lines", "application/x-ndjson", JsonLines),
    "parquet": Format("Parquet", "application/vnd.apache.parquet", _parquet),
}
