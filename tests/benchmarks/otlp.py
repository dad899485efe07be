"""`python -m tests.benchmarks.otlp`: spans a second through `POST /v1/traces`, durable when answered, and their CPU.

Two mixes of protobuf batches: `decisions`, all of them model calls with about 2 KB of content, and `mixed`, where every
second span is one of the service around them. `--profile` shows where the time of the steps goes instead.
"""

import argparse
import cProfile
import io
import json
import os
import pstats
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from config.servers import DEMO
from tests.benchmarks.corpus import decision
from tests.benchmarks.counters import read_cpu
from tests.benchmarks.instance import Instance, make_tenant, running_instance
from tests.benchmarks.load import Connection
from tests.benchmarks.policies import activate_starters
from tests.benchmarks.profiling import WritePath, lap_table, measure

TRACE_MARK, SPAN_MARK = b"\x11" * 16, b"\x22" * 8
MIXES = {"decisions": 0, "mixed": 2}  # every how-manyth span is a plain one


class Batch:
    """A request whose ids are replaced before each sending: the rest is serialised once."""

    def __init__(self, spans: int, plain_every: int, seed: int) -> None:
        from tests.traces.otlp.wire import traces_request

        rng = random.Random(seed)
        made = [_plain(rng) if plain_every and i % plain_every else _model_call(rng) for i in range(spans)]
        resource = {"service.name": "loan-assistant", "service.version": "2.4.0", "service.instance.id": "pod-7"}
        self.bytes = bytearray(traces_request(*made, resource=resource))
        self.traces, self.spans = _places(self.bytes, TRACE_MARK), _places(self.bytes, SPAN_MARK)

    def fresh(self) -> bytes:
        """The request with ids that were never sent."""
        ids = os.urandom(8 * len(self.spans))
        trace = os.urandom(16)
        for number, (trace_at, span_at) in enumerate(zip(self.traces, self.spans, strict=True)):
            self.bytes[trace_at : trace_at + 16] = trace
            self.bytes[span_at : span_at + 8] = ids[8 * number : 8 * number + 8]
        return bytes(self.bytes)


def _places(data: bytes | bytearray, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + len(mark))
    return found


def _model_call(rng: random.Random) -> Any:
    from datetime import UTC, datetime

    from tests.traces.otlp.wire import span_message

    asked = decision(rng, datetime.now(UTC))
    context = [{"type": "text", "content": "The bureau lists one closed loan that was repaid early. " * 14}]
    messages = [{"role": m["role"], "parts": [{"type": "text", "content": m["content"]}]} for m in asked["input"]]
    answers = [{"role": "assistant", "parts": [{"type": "text", "content": asked["output"][0]["content"]}]}]
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": asked["model"]["name"],
        "gen_ai.response.model": f"{asked['model']['name']}-2026-08-01",
        "gen_ai.conversation.id": asked["session"],
        "user.id": asked["user"],
        "gen_ai.request.temperature": 0.2,
        "gen_ai.usage.input_tokens": asked["usage"]["input_tokens"],
        "gen_ai.usage.output_tokens": asked["usage"]["output_tokens"],
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.input.messages": json.dumps([*messages, {"role": "user", "parts": context}]),
        "gen_ai.output.messages": json.dumps(answers),
    }
    now = time.time_ns()
    times = {"start_time_unix_nano": now - 10**9, "end_time_unix_nano": now}
    return span_message(attributes, trace_id=TRACE_MARK, span_id=SPAN_MARK, **times)


def _plain(rng: random.Random) -> Any:
    from tests.traces.otlp.wire import span_message

    attributes = {"http.request.method": "POST", "url.path": "/screen", "http.response.status_code": 200}
    now = time.time_ns()
    times = {"start_time_unix_nano": now - rng.randrange(10**9), "end_time_unix_nano": now}
    ids = {"trace_id": TRACE_MARK, "span_id": SPAN_MARK}
    return span_message(attributes, name="POST /screen", kind=2, **ids, **times)


@dataclass
class Tally:
    """What the connections were answered."""

    spans: int = 0
    latencies: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: int, body: bytes, spans: int, seconds: float) -> None:
        with self.lock:
            if status == 200 and not body:
                self.spans += spans
                self.latencies.append(seconds)
            else:
                self.refused[status] = self.refused.get(status, 0) + 1


def _post(port: int, key: str, batch: Batch, until: float, tally: Tally) -> None:
    connection = Connection(port)
    head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n".encode()
    while time.monotonic() < until:
        body = batch.fresh()
        started = time.perf_counter()
        request = b"%sContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body)
        status, answer = connection.exchange(request)
        tally.add(status, answer, len(batch.spans), time.perf_counter() - started)
        if status != 200:
            time.sleep(0.2)


def measure_mix(instance: Instance, key: str, name: str, options: argparse.Namespace) -> str:
    """One line of figures."""
    batches = [Batch(options.batch, MIXES[name], seed) for seed in range(options.connections)]
    database = instance.database()
    for seconds in (1.0, options.seconds):  # the first is the warm-up
        tally, before, started = Tally(), read_cpu(instance, database), time.monotonic()
        work = [(instance.port, key, batch, started + seconds, tally) for batch in batches]
        threads = [threading.Thread(target=_post, args=args) for args in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - started
        spent = read_cpu(instance, database).since(before)
    thousand = max(tally.spans, 1) / 1000
    p99 = 1000 * sorted(tally.latencies)[int(len(tally.latencies) * 0.99)] if tally.latencies else 0.0
    figures = [spent.web, spent.postgres, spent.answer, spent.everything]
    costs = " ".join(f"{value / thousand:>8.3f}" for value in figures)
    return f"{name:10} {tally.spans / took:>10,.0f} {p99:>8.0f} {costs}  {tally.refused or ''}"


class OtlpPath(WritePath):
    """The steps of `POST /v1/traces`, apart from HTTP."""

    def post(self, body: bytes) -> None:
        from tenants.authentication import authenticate
        from traces.otlp import recording
        from traces.otlp.decode import Form, read_spans
        from traces.services import USING

        actor = self.step("authenticate", authenticate, self.headers, using=USING)
        spans = self.step("read_spans", read_spans, body, Form.PROTOBUF)
        self.step("record_spans", recording.record_spans, by=actor, spans=spans)


def profile(instance: Instance, key: str, options: argparse.Namespace) -> None:
    steps = OtlpPath(key)
    batch = Batch(options.batch, MIXES[options.mix], 1)
    bodies = [batch.fresh() for _ in range(24)]
    for body in bodies[:4]:
        steps.post(body)
    laps, postgres = measure(instance, steps, bodies[4:14])
    print(lap_table(laps, postgres, 10 * options.batch))
    profiler = cProfile.Profile()
    for body in bodies[14:]:
        profiler.runcall(steps.post, body)
    output = io.StringIO()
    pstats.Stats(profiler, stream=output).sort_stats("tottime").print_stats(45)
    print(output.getvalue())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.otlp", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--policies", type=int, default=3, help="starter policies in force (default 3)")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--mix", choices=tuple(MIXES), default="decisions")
    options = parser.parse_args()
    wanted = ("sequencer", "signer") if options.profile else ("signer", "sequencer", "web")
    with running_instance(DEMO, processes=wanted) as instance:
        credentials = make_tenant("otlp")
        activate_starters(credentials.tenant_id, options.policies)
        if options.profile:
            profile(instance, credentials.ingest_key, options)
            return 0
        print("CPU in seconds per 1,000 spans")
        print(f"{'mix':10} {'spans/s':>10} {'p99 ms':>8} {'web':>8} {'postgres':>8} {'answered':>8} {'ledger too':>8}")
        for name in MIXES:
            print(measure_mix(instance, credentials.ingest_key, name, options), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
