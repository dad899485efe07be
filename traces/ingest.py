"""`POST /api/v1/decisions`: the edge of the write path. Refuses cheaply, in order: key, scope, size, form, content.

A plain view, not DRF: on this path DRF's serializers alone would cost ten times what storing a record does.
"""

import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from tenants.access import require
from tenants.actors import Actor
from tenants.authentication import KeyRefused, authenticate
from tenants.ids import uuid7_time
from tenants.ledger.log import LogBusy
from tenants.ledger.receipts import origin_of, receipt_signer, sign_receipt
from tenants.metering import OverLimit, cost_bytes, cost_records
from tenants.problems import problem
from traces.services import USING, Conflict, record_decisions
from traces.submissions import BodyError, ItemsRefused, read_items

NDJSON = {"application/x-ndjson", "application/jsonl", "application/ndjson"}
RETRY_SECONDS = "2"

Serve = Callable[[HttpRequest], HttpResponse]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing of a request was stored, before it is put in the form that the caller reads."""

    status: int
    title: str
    detail: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


Tell = Callable[[HttpRequest, Refusal], HttpResponse]


def refusal_of(error: Exception) -> Refusal | None:
    """What a step of the write path raised, as a refusal; None for a fault of ours."""
    if isinstance(error, KeyRefused):
        return Refusal(401, "Not authenticated", str(error), {"WWW-Authenticate": 'Bearer realm="affidavit"'})
    if isinstance(error, OverLimit):
        return Refusal(429, "Too many requests", str(error), {"Retry-After": str(error.retry_after)})
    if isinstance(error, PermissionDenied):
        return Refusal(403, "Forbidden", str(error))
    if isinstance(error, BodyError):
        return Refusal(error.status, "The body cannot be read", str(error))
    if isinstance(error, ItemsRefused):
        errors = [{"index": p.index, "pointer": p.pointer, "detail": p.detail} for p in error.problems]
        return Refusal(422, "Some decisions are not valid; nothing was stored", more={"errors": errors})
    if isinstance(error, Conflict):
        return conflict_refusal(error)
    if isinstance(error, LogBusy):
        return Refusal(429, "The ledger is behind", str(error), {"Retry-After": str(error.retry_after)})
    if isinstance(error, DatabaseError | InterfaceError) and is_passing(error):
        # Our store is away: the client keeps the data and retries. Never 500, which clients do not retry.
        detail = "Nothing of this request was stored. Send it again."
        return Refusal(503, "The store is not available", detail, {"Retry-After": RETRY_SECONDS})
    return None


def refusing(serve: Serve, tell: Tell) -> Serve:
    """A view of the write path, outside sessions and CSRF; `tell` puts what its steps refuse into an answer."""

    @csrf_exempt
    @login_not_required
    @wraps(serve)
    def view(request: HttpRequest) -> HttpResponse:
        try:
            return serve(request)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            return tell(request, refusal)

    return view


def tell_problem(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """A refusal as a problem document."""
    return problem(refusal.status, refusal.title, refusal.detail, headers=refusal.headers, **refusal.more)


def with_refusals(serve: Serve) -> Serve:
    """A view of the write path: what its steps raise becomes a problem document, and nothing was stored."""
    return refusing(serve, tell_problem)


@with_refusals
def post_decisions(request: HttpRequest) -> HttpResponse:
    """Record one decision, an array, or NDJSON; 201 with a signed receipt for each, or nothing stored."""
    actor = authenticate(request.headers, using=USING)
    require(actor, "decision.write")
    body = unpacked_body(request)
    ndjson = (request.content_type or "").lower() in NDJSON
    if ndjson and _is_chunked(request) and not _is_zipped(request):
        raise BodyError("Lines whose end may be missing: send a Content-Length, or gzip.", 411)
    prepare_receipts(actor)
    items, single = read_items(body, ndjson=ndjson, limit=settings.AFFIDAVIT_MAX_BATCH)
    cost_records(len(items))
    key = request.headers.get("Idempotency-Key", "").strip('"')
    answers = record_decisions(by=actor, items=items, idempotency_key=key)
    told = with_receipts(actor, answers.items)
    headers = {"Idempotent-Replayed": "true"} if answers.replayed else {}
    return HttpResponse(
        orjson.dumps(told[0] if single else told), status=201, content_type="application/json", headers=headers
    )


def is_passing(error: DatabaseError | InterfaceError) -> bool:
    """Whether the database would take the same request later: away, shutting down, out of space, a lost race."""
    sqlstate = getattr(error.__cause__, "sqlstate", None) or ""
    return isinstance(error, OperationalError | InterfaceError) or sqlstate[:2] in {"08", "40", "53", "57", "58"}


def prepare_receipts(actor: Actor) -> None:
    """Find what a receipt needs while nothing is stored: after COMMIT nothing may fail that could fail before."""
    receipt_signer()
    origin_of(actor.tenant_id, using=USING)


def with_receipts(actor: Actor, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each answer with its signed promise: this record will be in the log within the maximum merge delay."""
    origin = origin_of(actor.tenant_id, using=USING)
    for answer in answers:
        received_at = uuid7_time(uuid.UUID(answer["id"]))
        leaf_hash = bytes.fromhex(answer["leaf_hash"])
        answer["receipt"] = sign_receipt(origin, uuid.UUID(answer["id"]), leaf_hash, received_at)
    return answers


def conflict_refusal(conflict: Conflict) -> Refusal:
    """409, naming what is stored under the same identity."""
    if not conflict.stored:
        return Refusal(409, "Conflict", "This Idempotency-Key was used with another body.")
    errors = [
        {"index": index, "pointer": "/external_id", "detail": f"Already recorded with other content as {stored}."}
        for index, stored in sorted(conflict.stored.items())
    ]
    return Refusal(409, "Conflict", "Nothing was stored.", more={"errors": errors})


def unpacked_body(request: HttpRequest) -> bytes:
    """The body, gunzipped if need be; capped before and after. Raises `BodyError` (413, 415, 400)."""
    limit = settings.AFFIDAVIT_MAX_BODY
    length = request.headers.get("Content-Length") or "0"
    if not (length.isascii() and length.isdecimal()):
        raise BodyError("Content-Length is not a number.")
    too_large = BodyError(f"The body is larger than {limit:,} bytes. Send smaller batches, or gzip them.", 413)
    if int(length) > limit:
        raise too_large
    try:
        body = _chunked(request, limit) if _is_chunked(request) else request.body
    except RequestDataTooBig:
        raise too_large from None
    except (UnreadablePostError, OSError):
        raise BodyError("The body ended before it was whole.") from None
    if len(body) > limit:
        raise too_large
    if len(body) < int(length):  # half a batch can be a batch: lines, or protobuf, cut at a good place
        raise BodyError("The body ended before it was whole.")
    if _is_zipped(request):
        body = gunzip(body, settings.AFFIDAVIT_MAX_UNPACKED)
        cost_bytes(len(body))
        return body
    if (encoding := _encoding(request)) != "identity":
        raise BodyError(f"Content-Encoding {encoding!r} is not read; use gzip or none.", 415)
    cost_bytes(len(body))
    return body


def _encoding(request: HttpRequest) -> str:
    return request.headers.get("Content-Encoding", "identity").lower()


def _is_zipped(request: HttpRequest) -> bool:
    return _encoding(request) == "gzip"


def _is_chunked(request: HttpRequest) -> bool:
    return "chunked" in request.headers.get("Transfer-Encoding", "").lower()


def _chunked(request: HttpRequest, limit: int) -> bytes:
    """A body without a length, which Django takes for none: exporters in JavaScript send such.

    Nobody tells where it was cut off; JSON and gzip do, and spans that come in part are whole when they come again.
    """
    data: bytes = request.META["wsgi.input"].read(limit + 1)
    return data


def gunzip(body: bytes, limit: int) -> bytes:
    """Inflate at most `limit` bytes: a small bomb never becomes a large one."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        data = inflate.decompress(body, limit + 1)
    except zlib.error:
        raise BodyError("The body is not valid gzip.") from None
    if len(data) > limit:
        raise BodyError(f"The body is larger than {limit:,} bytes once unpacked. Send smaller batches.", 413)
    if not inflate.eof:
        raise BodyError("The gzip body ends too early.")
    if inflate.unused_data:  # what is not read would be lost, and the sender would not know
        raise BodyError("Something follows the gzip body; send one member.")
    return data
