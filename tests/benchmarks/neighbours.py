"""`python -m tests.benchmarks.neighbours`: what limits cost those who keep them, and spare those beside who does not.

The cost is a ratio: the same requests through the whole of Django in one process, with and without limits by turns. The
noise is a second tenant that sends as fast as it can on eight connections, and when it is told to wait asks again ten
times a second on each; a neighbour's requests are timed alone, beside it with a limit, and without.
"""

import argparse
import http.client
import io
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any
from unittest import mock

from config.servers import DEMO
from tests.benchmarks.corpus import external_id, pieces
from tests.benchmarks.instance import Credentials, make_tenant, running_instance
from tests.benchmarks.load import Plan
from tests.benchmarks.rounds import Bench

PAUSE = 0.02  # seconds between two of the neighbour's requests


@dataclass(frozen=True)
class Seen:
    """A neighbour's answers: milliseconds, and how many were not 201."""

    p50: float
    p99: float
    refused: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.neighbours", description=__doc__)
    parser.add_argument("--requests", type=int, default=200, help="of the neighbour, in each part")
    parser.add_argument("--limit", type=int, default=100, help="records a second of the noisy tenant")
    parser.add_argument("--rounds", type=int, default=30, help="turns of 20 requests with and without limits")
    options = parser.parse_args()
    with running_instance(DEMO) as instance:
        quiet, noisy = make_tenant("quiet"), make_tenant("noisy")
        print(f"CPU of a request of one record, with limits to without: {cost(quiet, options.rounds):.3f}", flush=True)
        told("alone", beside(instance.port, quiet, options.requests))
        for name, limit in ((f"noise limited to {options.limit}/s", options.limit), ("noise without limit", 0)):
            limit_to(noisy, limit)
            with noise(Bench(instance, noisy, connections=8)):
                told(name, beside(instance.port, quiet, options.requests))


def told(name: str, seen: Seen) -> None:
    print(f"{name:26} p50 {seen.p50:6.1f} ms, p99 {seen.p99:6.1f} ms, {seen.refused} refused", flush=True)


def beside(port: int, who: Credentials, requests: int) -> Seen:
    """Post one record after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {who.ingest_key}", "Content-Type": "application/json"}
    run, times, refused = uuid.uuid4().hex, [], 0
    for number, (before, after) in enumerate(pieces(requests + 10)):
        started = time.perf_counter()
        connection.request("POST", "/api/v1/decisions", before + external_id(run, 0, number) + after, headers)
        response = connection.getresponse()
        response.read()
        times.append(1000 * (time.perf_counter() - started))
        refused += response.status != 201
        time.sleep(PAUSE)
    kept = sorted(times[10:])  # without the warm-up
    return Seen(median(kept), kept[int(len(kept) * 0.99)], refused)


@contextmanager
def noise(bench: Bench) -> Iterator[None]:
    """As many single records as eight connections can send, for as long as the block runs."""
    plan = Plan(bench.instance.port, bench.credentials.ingest_key, 1, 8, 600.0, uuid.uuid4().hex, pause=0.1)
    with bench.client(plan) as client:
        client.start()
        yield


def limit_to(who: Credentials, records: int) -> None:
    from tenants.services import set_limits

    set_limits(tenant_id=uuid.UUID(who.tenant_id), operator="benchmark", records=records, requests=None)
    time.sleep(4)  # a web process remembers a key's limits for three seconds


def cost(who: Credentials, rounds: int) -> float:
    """CPU seconds with limits, to those without; medians of short turns, so that what else runs hits both."""
    from django.core.wsgi import get_wsgi_application

    handler = get_wsgi_application()
    spent: dict[bool, list[float]] = {True: [], False: []}
    bodies = (before + external_id(uuid.uuid4().hex, 0, n) + after for n, (before, after) in enumerate(pieces(2048)))
    for turn in range(2 * rounds + 2):
        limited = turn % 2 == 0
        chosen = [next(bodies) for _ in range(20)]
        with mock.patch("tenants.metering.limiter", return_value=None) if not limited else mock.patch.dict({}):
            began = time.process_time()
            for body in chosen:
                send(handler, who.ingest_key, body)
            if turn > 1:
                spent[limited].append(time.process_time() - began)
    with_limits, without = median(spent[True]), median(spent[False])
    return with_limits / without


def send(handler: Any, key: str, body: bytes) -> None:
    """One request through every middleware; raises `RuntimeError` unless it was recorded."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/decisions",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    answered: list[str] = []
    response = handler(environ, lambda status, headers: answered.append(status))
    told = b"".join(response)
    response.close()
    if not answered[0].startswith("201"):
        raise RuntimeError(json.loads(told))


if __name__ == "__main__":
    main()
