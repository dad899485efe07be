"""`POST /api/v1/decisions`: the edge of the write path. Refuses cheaply, in order: key, scope, size, form, content.

A plain view, not DRF: on this path DRF's serializers alone would cost ten times what storing a record does.
"""

import uuid
import zlib
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from tenants.access import require
from tenants.actors import Actor
from tenants.authentication import KeyRefused, authenticate
from tenants.ids import uuid7_time
from tenants.ledger.log import LogBusy
from tenants.ledger.receipts import origin_of, sign_receipt
from tenants.problems import problem
from traces.services import USING, Conflict, record_decisions
from traces.submissions import BodyError, ItemsRefused, read_items

NDJSON = {"application/x-ndjson", "application/jsonl", "application/ndjson"}
RETRY_SECONDS = "2"


@csrf_exempt
@login_not_required
def post_decisions(request: HttpRequest) -> HttpResponse:
    """Record one decision, an array, or NDJSON; 201 with a signed receipt for each, or nothing stored."""
    try:
        actor = authenticate(request.headers, using=USING)
        require(actor, "decision.write")
        body = unpacked_body(request)
        ndjson = (request.content_type or "").lower() in NDJSON
        items, single = read_items(body, ndjson=ndjson, limit=settings.AFFIDAVIT_MAX_BATCH)
        key = request.headers.get("Idempotency-Key", "").strip('"')[:255]
        answers = record_decisions(by=actor, items=items, idempotency_key=key)
        told = with_receipts(actor, answers.items)
    except KeyRefused as error:
        return problem(401, "Not authenticated", str(error), headers={"WWW-Authenticate": 'Bearer realm="affidavit"'})
    except PermissionDenied as error:
        return problem(403, "Forbidden", str(error))
    except BodyError as error:
        return problem(error.status, "The body cannot be read", str(error))
    except ItemsRefused as refused:
        errors = [{"index": p.index, "pointer": p.pointer, "detail": p.detail} for p in refused.problems]
        return problem(422, "Some decisions are not valid; nothing was stored", errors=errors)
    except Conflict as conflict:
        return conflict_problem(conflict)
    except LogBusy as busy:
        return problem(429, "The ledger is behind", str(busy), headers={"Retry-After": str(busy.retry_after)})
    except (OperationalError, InterfaceError):
        return unavailable()
    except DatabaseError as error:
        if is_passing(error):
            return unavailable()
        raise
    headers = {"Idempotent-Replayed": "true"} if answers.replayed else {}
    return HttpResponse(
        orjson.dumps(told[0] if single else told), status=201, content_type="application/json", headers=headers
    )


def is_passing(error: DatabaseError) -> bool:
    """Whether the database would take the same request later: shutting down, out of space, a lost race."""
    sqlstate = getattr(error.__cause__, "sqlstate", None) or ""
    return sqlstate[:2] in {"08", "40", "53", "57", "58"}


def unavailable() -> HttpResponse:
    """Our store is away: the client keeps the data and retries. Never 500, which clients do not retry."""
    detail = "Nothing of this request was stored. Send it again."
    return problem(503, "The store is not available", detail, headers={"Retry-After": RETRY_SECONDS})


def with_receipts(actor: Actor, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each answer with its signed promise: this record will be in the log within the maximum merge delay."""
    origin = origin_of(actor.tenant_id, using=USING)
    for answer in answers:
        received_at = uuid7_time(uuid.UUID(answer["id"]))
        leaf_hash = bytes.fromhex(answer["leaf_hash"])
        answer["receipt"] = sign_receipt(origin, uuid.UUID(answer["id"]), leaf_hash, received_at)
    return answers


def conflict_problem(conflict: Conflict) -> HttpResponse:
    """409, naming what is stored under the same identity."""
    if not conflict.stored:
        return problem(409, "Conflict", "This Idempotency-Key was used with another body.")
    errors = [
        {"index": index, "pointer": "/external_id", "detail": f"Already recorded with other content as {stored}."}
        for index, stored in sorted(conflict.stored.items())
    ]
    return problem(409, "Conflict", "Nothing was stored.", errors=errors)


def unpacked_body(request: HttpRequest) -> bytes:
    """The body, gunzipped if need be; capped before and after. Raises `BodyError` (413, 415, 400)."""
    limit = settings.AFFIDAVIT_MAX_BODY
    if int(request.headers.get("Content-Length") or 0) > limit:
        raise BodyError(f"The body is larger than {limit:,} bytes. Send smaller batches, or gzip them.", 413)
    try:
        body = request.body
    except RequestDataTooBig:
        raise BodyError(f"The body is larger than {limit:,} bytes. Send smaller batches, or gzip them.", 413) from None
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "gzip":
        return gunzip(body, settings.AFFIDAVIT_MAX_UNPACKED)
    if encoding != "identity":
        raise BodyError(f"Content-Encoding {encoding!r} is not read; use gzip or none.", 415)
    return body


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
    return data
