"""What an outside keeper of heads is given, and what it answers."""

import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from tenants.context import tenant_atomic
from tenants.ledger import reader
from tenants.ledger.tiles import ENTRIES, WIDTH, TileRef

TIMEOUT_SECONDS = 15
MAX_ANSWER = 256 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head on its way out."""

    tenant_id: uuid.UUID
    shard: int
    size: int
    note: str
    anchored_size: int  # the newest that this sink holds; 0: none

    def consistency(self, old_size: int) -> list[bytes]:
        """The proof (RFC 9162 §2.1.4) that the first `old_size` leaves are the same tree; reads the database."""
        with tenant_atomic(self.tenant_id):
            return reader.consistency_between(reader.log_of(self.shard), old_size, self.size) if old_size else []

    def bundles(self) -> Iterator[tuple[TileRef, bytes]]:
        """The entry bundles (c2sp.org/tlog-tiles) with leaves that this sink lacks, each read when it is due."""
        for index in range(self.anchored_size // WIDTH, -(-self.size // WIDTH)):
            ref = TileRef(ENTRIES, index, min(WIDTH, self.size - index * WIDTH))
            with tenant_atomic(self.tenant_id):
                data = reader.tile_bytes(reader.log_of(self.shard), ref)
            yield ref, data


@dataclass(frozen=True, slots=True)
class Anchored:
    """What a sink answered: bytes to keep, and a sentence to show."""

    proof: bytes
    detail: str


class Sink(Protocol):
    """Somewhere to put heads. `anchor` raises OSError or ValueError where it could not."""

    @property
    def name(self) -> str: ...

    @property
    def every(self) -> timedelta: ...

    def anchor(self, head: Head) -> Anchored: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever its status."""

    status: int
    content_type: str
    body: bytes


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST to an address of the operator's; raises OSError where nobody answers, ValueError for any other scheme."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is no HTTP address")
    request = urllib.request.Request(url, body, dict(headers))  # noqa: S310  the scheme was checked
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return Answer(answer.status, answer.headers.get_content_type(), answer.read(MAX_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers.get_content_type(), error.read(MAX_ANSWER))
