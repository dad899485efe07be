"""One POST to an address that somebody else named: to the address that was checked, once, briefly, and no further.

No redirect is followed (the status is told as it is), no proxy is asked, at most `ANSWER_BYTES` of the answer are read,
and `TOTAL_SECONDS` after the connection began it is cut, however slowly the other side drips.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from tenants.webhooks.guard import Target, resolve

STEP_SECONDS = 5  # to connect, and between two pieces of an answer
TOTAL_SECONDS = 15
ANSWER_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the head of the body, and how long to wait where it said so (seconds)."""

    status: int
    head: str
    retry_after: int | None = None


def post(target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST and read the head of the answer. Raises `OSError` where nobody answers in time, or nobody may be asked."""
    plain = socket.create_connection((str(resolve(target)), target.port), timeout=STEP_SECONDS)
    with _dressed(plain, target) as connection:
        watchdog = threading.Timer(TOTAL_SECONDS, _cut, [connection])
        watchdog.daemon = True
        watchdog.start()
        try:
            return _exchange(connection, target, body, headers)
        except OSError:  # TLS's are ValueErrors too
            raise
        except (http.client.HTTPException, ValueError) as error:  # ValueError: OpenSSL's object went with the cut
            raise OSError(f"The answer is no HTTP, or came too slowly ({type(error).__name__}).") from None
        finally:
            watchdog.cancel()


def _dressed(plain: socket.socket, target: Target) -> socket.socket:
    """The socket itself, or with TLS around it, verified against the name; the handshake is still to come."""
    if target.scheme == "http":
        return plain
    try:
        context = ssl.create_default_context()
        return context.wrap_socket(plain, server_hostname=target.host, do_handshake_on_connect=False)
    except (OSError, ValueError):
        plain.close()
        raise


def _exchange(connection: socket.socket, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
    if isinstance(connection, ssl.SSLSocket):
        connection.do_handshake()
    wire = http.client.HTTPConnection(target.host, target.port)
    wire.sock = connection
    wire.request("POST", target.path, body, {"Host": target.authority, "Connection": "close", **headers})
    answer = wire.getresponse()
    head = answer.read(ANSWER_BYTES).decode("utf-8", "replace").replace("\0", "\ufffd")
    return Answer(answer.status, head, _seconds(answer.headers.get("Retry-After", "")))


def _cut(connection: socket.socket) -> None:
    """End a connection under whoever reads it: their read fails. Past TLS, which would want to say goodbye."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _seconds(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else None
