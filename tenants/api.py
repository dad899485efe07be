"""The caller's log over REST, laid out as c2sp.org/tlog-tiles: any client of that format reads it with a key."""

import hashlib
import re
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.ledger import reader
from tenants.ledger.proofs import MEDIA_TYPE
from tenants.ledger.tiles import TileError, decode_path
from tenants.metering import cost_nothing
from tenants.models import LedgerLog
from tenants.permissions import HasScope, actor_of
from tenants.problems import CONTENT_TYPE, problem

BYTES = "application/octet-stream"
IMMUTABLE = "private, max-age=31536000, immutable"  # a tile of a given width never changes
REVALIDATE = "private, no-cache"
TEXT: Any = {(200, "text/plain"): OpenApiTypes.STR}
SHARD = OpenApiParameter(
    "shard", OpenApiTypes.INT, description="An earlier log of the tenant; default: the growing one"
)


class AsItIs(BaseContentNegotiation):
    """Each address has one form; what the client says it accepts does not change it."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type


class ReadsOrWrites(HasScope):
    """Who records may fetch the proofs of records too: they hold digests, no content."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return super().has_permission(request, view) or actor_of(request).may("decision.write")


@method_decorator(login_not_required, name="dispatch")
class LedgerView(APIView):
    """A read of the caller's log; subclasses say in `read` what of it."""

    permissions: ClassVar[dict[str, str]] = {"GET": "ledger.read"}
    content_negotiation_class = AsItIs

    def get(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        """Answer inside the caller's tenant; what is not there (yet) is 404."""
        with tenant_atomic(actor_of(request).tenant_id):
            try:
                return self.read(request, reader.log_of(_number(request, "shard")), **kwargs)
            except reader.NotThere as error:
                raise Http404(str(error)) from None

    def read(self, request: Request, log: LedgerLog, **kwargs: Any) -> HttpResponseBase:
        """The answer, or `NotThere`."""
        raise NotImplementedError


@extend_schema_view(get=extend_schema(operation_id="ledger_checkpoint", parameters=[SHARD], responses=TEXT))
class LedgerCheckpointView(LedgerView):
    """The newest signed head (c2sp.org/tlog-checkpoint)."""

    def read(self, request: Request, log: LedgerLog, **kwargs: Any) -> HttpResponseBase:
        return answer(request, reader.signed_head(log).note.encode(), MEDIA_TYPE, REVALIDATE)


PATH = OpenApiParameter("path", OpenApiTypes.STR, "path", description="`<L>/<N>` or `entries/<N>`; partial: `.p/<W>`")


@extend_schema_view(
    get=extend_schema(
        operation_id="ledger_tile", parameters=[PATH, SHARD], responses={(200, BYTES): OpenApiTypes.BINARY}
    )
)
class LedgerTileView(LedgerView):
    """A tile of up to 256 hashes of one level, or a bundle of up to 256 entries."""

    def read(self, request: Request, log: LedgerLog, **kwargs: Any) -> HttpResponseBase:
        try:
            ref = decode_path(f"tile/{kwargs['path']}")
        except TileError as error:
            raise reader.NotThere(str(error)) from None
        return answer(request, reader.tile_bytes(log, ref), BYTES, IMMUTABLE)


RECORD = OpenApiParameter("record", OpenApiTypes.UUID, description="A record's or an event's id")
INDEX = OpenApiParameter("index", OpenApiTypes.INT, description="Or a leaf's index")


@extend_schema_view(
    get=extend_schema(operation_id="ledger_inclusion_proof", parameters=[RECORD, INDEX, SHARD], responses=TEXT)
)
class LedgerInclusionView(LedgerView):
    """That a leaf is under the newest signed head (c2sp.org/tlog-proof)."""

    def read(self, request: Request, log: LedgerLog, **kwargs: Any) -> HttpResponseBase:
        record, index = request.query_params.get("record"), _number(request, "index")
        if index is not None:
            text = reader.proof_at(log, index)
        elif record is not None:
            text = reader.proof_of(_uuid(record))
        else:
            raise ParseError("Give `record` (an id) or `index` (of a leaf).")
        return answer(request, text.encode(), MEDIA_TYPE, REVALIDATE)


FROM = OpenApiParameter("from", OpenApiTypes.INT, required=True, description="The earlier size")
TO = OpenApiParameter("to", OpenApiTypes.INT, description="The later size; default: the newest signed head's")


@extend_schema_view(
    get=extend_schema(
        operation_id="ledger_consistency_proof", parameters=[FROM, TO, SHARD], responses=OpenApiTypes.OBJECT
    )
)
class LedgerConsistencyView(LedgerView):
    """That the tree of size `to` starts with the tree of size `from` (RFC 9162 §2.1.4); hashes in base64."""

    def read(self, request: Request, log: LedgerLog, **kwargs: Any) -> HttpResponseBase:
        newest = reader.signed_head(log).size
        old, new = _number(request, "from"), _number(request, "to")
        new = newest if new is None else new
        if old is None or not 0 < old <= new <= newest:
            raise ParseError(f"Give sizes with 0 < from <= to <= {newest}, the size of the newest signed head.")
        path = [b64encode(node).decode() for node in reader.consistency_between(log, old, new)]
        return JsonResponse({"from": old, "to": new, "consistency": path})


@extend_schema_view(get=extend_schema(operation_id="ledger_key", responses=TEXT))
class LedgerKeyView(LedgerView):
    """Whose signatures to believe: the log's keys (c2sp.org/tlog-policy); the key of receipts in a comment."""

    def read(self, request: Request, log: LedgerLog, **kwargs: Any) -> HttpResponseBase:
        return answer(request, reader.trust_text().encode(), MEDIA_TYPE, REVALIDATE)


WAIT_SECONDS = 20
POLL_SECONDS = 0.5
RETRY_AFTER = {"Retry-After": "5"}
# Each waiter holds a thread: whoever finds no place is answered at once, and asks again.
_waiting_places = threading.BoundedSemaphore(2)
_WAIT = re.compile(r"\bwait=(\d{1,4})\b")


@extend_schema_view(
    get=extend_schema(
        operation_id="decisions_proof",
        parameters=[
            OpenApiParameter("Prefer", OpenApiTypes.STR, "header", description="`wait=20`: at most 20 seconds")
        ],
        responses=TEXT | {(404, CONTENT_TYPE): OpenApiTypes.OBJECT},
    )
)
@method_decorator(login_not_required, name="dispatch")
class DecisionProofView(APIView):
    """The record's proof (c2sp.org/tlog-proof), once a signed head covers it; until then 404 with `Retry-After`."""

    permissions: ClassVar[dict[str, str]] = {"GET": "ledger.read"}
    permission_classes = (ReadsOrWrites,)
    content_negotiation_class = AsItIs

    def get(self, request: Request, pk: uuid.UUID) -> HttpResponseBase:
        """The proof, waited for as long as the caller prefers."""
        wanted = _WAIT.search(request.headers.get("Prefer", ""))
        try:
            text = wait_for_proof(actor_of(request), pk, min(int(wanted[1]) if wanted else 0, WAIT_SECONDS))
        except reader.NotThere as error:
            return problem(404, "Not proven yet", str(error), headers=RETRY_AFTER)
        return answer(request, text.encode(), MEDIA_TYPE, REVALIDATE)


def wait_for_proof(actor: Actor, record_id: uuid.UUID, seconds: float) -> str:
    """The record's proof; looks again, each time in a transaction of its own, until `seconds` are over.

    Raises `NotThere`.
    """
    until = time.monotonic() + seconds
    has_place = seconds > 0 and _waiting_places.acquire(blocking=False)
    try:
        while True:
            try:
                with tenant_atomic(actor.tenant_id):
                    return reader.proof_of(record_id)
            except reader.NotThere:
                if not has_place or time.monotonic() + POLL_SECONDS > until:
                    raise
            time.sleep(POLL_SECONDS)
            cost_nothing(POLL_SECONDS)
    finally:
        if has_place:
            _waiting_places.release()


def answer(request: Any, body: bytes, content_type: str, caching: str) -> HttpResponseBase:
    """The bytes with an ETag of their content; 304 for whoever has them."""
    response = HttpResponse(body, content_type=content_type)
    response["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    response["Cache-Control"] = caching
    response["Vary"] = "Authorization, X-Api-Key"
    return get_conditional_response(request, response["ETag"], None, response) or response


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ParseError(f"`{name}` is a whole number.")
    return int(text)


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ParseError("`record` is a UUID.") from None
