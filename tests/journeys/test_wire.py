"""What a wire does to requests, over sockets to the real web server: it answers everybody else meanwhile, and after."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from tenants.context import tenant_atomic
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision
from tests.site import RunningSite
from tests.traces.otlp.wire import PROTOBUF, chat_message, traces_request
from traces.models import Decision

SECONDS, JSON = 1.0, "application/json"
HELD = 64


@contextmanager
def connected(site: RunningSite) -> Iterator[socket.socket]:
    address = urlsplit(site.base_url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        yield connection


def head(cast: Cast, length: str, *more: str) -> bytes:
    named = {"Host": "localhost", "Authorization": f"Bearer {cast.keys['ingest'].secret}", "Content-Type": JSON}
    named |= {"Content-Length": length} if length else {}
    named |= dict(line.split(": ", 1) for line in more if line.startswith("Content-Type"))
    others = [line for line in more if not line.startswith("Content-Type")]
    lines = ["POST /api/v1/decisions HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), *others]
    return "\r\n".join((*lines, "", "")).encode()


def answers(site: RunningSite, cast: Cast, *, times: int = 1) -> None:
    """A good decision is recorded, quickly, over one connection."""
    headers = {"Authorization": f"Bearer {cast.keys['ingest'].secret}"}
    with httpx.Client(base_url=site.base_url, headers=headers) as client:
        for _ in range(times):
            began = time.monotonic()
            assert client.post("/api/v1/decisions", json=a_decision()).status_code == 201
            assert time.monotonic() - began < SECONDS


def stored(cast: Cast) -> int:
    with tenant_atomic(cast.tenant.pk):
        return Decision.objects.count()


def test_whoever_holds_connections_open_holds_up_nobody(site: RunningSite, cast: Cast) -> None:
    whole = head(cast, "500")
    stranger = whole.replace(b"Bearer aff_", b"Bearer aff_x")  # whoever has no key is refused before the body
    with ExitStack() as held:
        for number in range(HELD):  # half a request line, half a header, a body that never comes
            connection = held.enter_context(connected(site))
            connection.sendall((whole[:9], whole[: 40 + number], stranger + BODY)[number % 3])
        answers(site, cast, times=20)
    answers(site, cast)
    assert stored(cast) == 21


LINES = "Content-Type: application/x-ndjson"
BODY = json.dumps({"system": "s", "output": "o"}).encode()
BENT: dict[str, tuple[str, tuple[str, ...], bytes]] = {
    "longer than the body": (str(len(BODY) + 50), (), BODY),
    "shorter than the body": (str(len(BODY) - 5), ("Connection: close",), BODY),
    "no number": ("many", (), BODY),
    "less than nothing": ("-1", (), BODY),
    "two that differ": ("5", (f"Content-Length: {len(BODY)}",), BODY),
    "a length and chunks": ("5", ("Transfer-Encoding: chunked",), b"0\r\n\r\n"),
    "chunks of no size": ("", ("Transfer-Encoding: chunked",), b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk that ends early": ("", ("Transfer-Encoding: chunked",), b"fff\r\n" + BODY[:-3]),
    "lines in chunks": ("", ("Transfer-Encoding: chunked", LINES), b"1b\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "gzip that ends early": (str(20), ("Content-Encoding: gzip",), gzip.compress(BODY)[:20]),
}


@pytest.mark.parametrize("name", BENT)
def test_a_length_that_is_wrong_stores_nothing(site: RunningSite, cast: Cast, name: str) -> None:
    length, more, body = BENT[name]
    with connected(site) as connection:
        connection.sendall(head(cast, length, *more) + body)
        connection.shutdown(socket.SHUT_WR)
        told = connection.recv(65536)
    assert told.partition(b" ")[2][:1] in {b"", b"4"}, told  # refused, or hung up on
    assert stored(cast) == 0
    answers(site, cast)


def test_a_body_in_chunks_is_a_body(site: RunningSite, cast: Cast) -> None:
    zipped, spans = gzip.compress(BODY), traces_request(chat_message())
    for path, kind, body, encoding in (
        ("/api/v1/decisions", JSON, BODY, "identity"),
        ("/api/v1/decisions", "application/x-ndjson", zipped, "gzip"),
        ("/v1/traces", PROTOBUF, spans, "identity"),
        ("/v1/traces", PROTOBUF, gzip.compress(traces_request(chat_message())), "gzip"),
    ):
        headers = {"Authorization": f"Bearer {cast.keys['ingest'].secret}", "Content-Type": kind}
        sent = httpx.post(
            site.base_url + path, content=iter([body[:7], body[7:]]), headers=headers | {"Content-Encoding": encoding}
        )
        assert sent.is_success, sent.content
    assert stored(cast) == 4


def test_a_body_that_is_too_large_is_refused_and_the_next_is_not(site: RunningSite, cast: Cast) -> None:
    began = time.monotonic()
    with connected(site) as connection:
        connection.sendall(head(cast, str(2**33)))
        assert connection.recv(65536).split(b" ", 2)[1] == b"413"
    assert time.monotonic() - began < SECONDS
    answers(site, cast)
