"""The client, in a process of its own: as many keep-alive connections as asked, closed loop, as little CPU as possible.

Protocol with the parent: a JSON line with the `Plan` comes in; after the warm-up it writes `ready`; on `go` it
posts for the planned time and writes one JSON line with a `Result`.
"""

import json
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field

from tests.benchmarks.corpus import external_id, pieces

WARM_UP_REQUESTS = 3


@dataclass(frozen=True)
class Plan:
    """What to send: `batch` records a request on each of `connections`, for `seconds`, or `records` in all if not 0.

    A connection that was pushed back waits `pause` seconds.
    """

    port: int
    key: str
    batch: int
    connections: int
    seconds: float
    run: str
    records: int = 0
    pause: float = 0.5


@dataclass
class Result:
    """What was answered. Latencies in milliseconds; `seconds` from `go` to the last answer."""

    records: int = 0
    requests: int = 0
    warm_up_records: int = 0
    seconds: float = 0.0
    json_bytes: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    pushed_back: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    client_cpu: float = 0.0


class Connection:
    """HTTP/1.1 over one socket: enough to post and read an answer with a length."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a whole request; returns the status and the body."""
        self._socket.sendall(request)
        data = self._socket.recv(65536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        status = int(data[9:12])
        length = int(data[:end].lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        parts, missing = [data[end + 4 :]], length - (len(data) - end - 4)
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        return status, b"".join(parts)

    def _more(self) -> bytes:
        data = self._socket.recv(262144)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


class Worker(threading.Thread):
    """One connection's closed loop."""

    def __init__(self, plan: Plan, number: int, corpus: list[tuple[bytes, bytes]], gate: threading.Barrier) -> None:
        super().__init__(daemon=True)
        self.plan, self.number, self.corpus, self.gate = plan, number, corpus, gate
        self.head = (
            f"POST /api/v1/decisions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {plan.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self.sent = 0
        self.result = Result()
        self.latencies: list[float] = []
        self.finished_at = 0.0

    def body(self) -> bytes:
        """The next `batch` records, none sent before."""
        parts: list[bytes] = []
        for _ in range(self.plan.batch):
            before, after = self.corpus[(self.sent * self.plan.connections + self.number) % len(self.corpus)]
            parts.append(before + external_id(self.plan.run, self.number, self.sent) + after)
            self.sent += 1
        return b"[" + b",".join(parts) + b"]"

    def run(self) -> None:
        connection = Connection(self.plan.port)
        for _ in range(WARM_UP_REQUESTS):
            self.result.warm_up_records += self.post(connection, self.body())
        self.latencies.clear()
        self.result.pushed_back, self.result.errors = 0, {}
        self.gate.wait()  # all are warm
        self.gate.wait()  # go
        deadline = time.monotonic() + self.plan.seconds
        share = self.plan.records // self.plan.connections
        while self.result.records < share if share else time.monotonic() < deadline:
            body = self.body()
            stored = self.post(connection, body)
            if stored:
                self.result.records += stored
                self.result.requests += 1
                self.result.json_bytes += len(body) - self.plan.batch - 1
        self.finished_at = time.monotonic()

    def post(self, connection: Connection, body: bytes) -> int:
        """How many records were acknowledged with a receipt."""
        request = b"%s%d\r\n\r\n%s" % (self.head, len(body), body)
        started = time.perf_counter()
        status, answer = connection.exchange(request)
        if status == 201 and answer.count(b'"receipt"') == self.plan.batch:
            self.latencies.append(time.perf_counter() - started)
            return self.plan.batch
        if status in {429, 503}:
            self.result.pushed_back += 1
            time.sleep(self.plan.pause)
        else:
            self.result.errors[str(status)] = self.result.errors.get(str(status), 0) + 1
            if self.result.errors[str(status)] == 1:
                print(f"{status}: {answer[:500]!r}", file=sys.stderr)
        return 0


def main() -> None:
    plan = Plan(**json.loads(sys.stdin.readline()))
    gate = threading.Barrier(plan.connections + 1)
    corpus = pieces(512)
    workers = [Worker(plan, number, corpus, gate) for number in range(plan.connections)]
    for worker in workers:
        worker.start()
    gate.wait()
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, started = time.process_time(), time.monotonic()
    gate.wait()
    for worker in workers:
        worker.join()
    print(json.dumps(asdict(summed(workers, started, time.process_time() - cpu))), flush=True)


def summed(workers: list[Worker], started: float, cpu: float) -> Result:
    """One result of all connections."""
    total = Result(client_cpu=cpu, seconds=max(worker.finished_at for worker in workers) - started)
    for worker in workers:
        for name in ("records", "requests", "warm_up_records", "json_bytes", "pushed_back"):
            setattr(total, name, getattr(total, name) + getattr(worker.result, name))
        for status, count in worker.result.errors.items():
            total.errors[status] = total.errors.get(status, 0) + count
    latencies = sorted(1000 * latency for worker in workers for latency in worker.latencies)
    if latencies:
        total.p50_ms = latencies[len(latencies) // 2]
        total.p99_ms = latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))]
        total.max_ms = latencies[-1]
    return total


if __name__ == "__main__":
    main()
