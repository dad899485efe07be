"""A client as it should be: keeps every receipt, and retries with the same ids until it has one.

A process of its own. Each acknowledged record becomes a line of the file given as its argument; SIGTERM lets it finish
what it has begun. Some batches are sent a second time on purpose: the answers must be the same.
"""

import http.client
import json
import random
import signal
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from typing import IO, Any

from tests.benchmarks.corpus import external_id, pieces

RESEND = 0.1  # of the acknowledged batches
SIZES = (1, 1, 5, 20, 60)
CLIENT_TIMEOUT = 15.0


@dataclass
class Shared:
    """What the connections of one client have together."""

    port: int
    key: str
    out: IO[str]
    lock: threading.Lock
    stopping: threading.Event


class Sender(threading.Thread):
    """One connection: batch after batch, each until it is acknowledged."""

    def __init__(self, shared: Shared, number: int) -> None:
        super().__init__()
        self.shared, self.number = shared, number
        self.rng = random.Random(number)
        self.corpus = pieces(64, seed=number)
        self.run_name = uuid.uuid4().hex
        self.sent = 0
        self.statuses: dict[str, int] = {}
        self.connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self.shared.stopping.is_set():
            names, body = self.batch()
            answers = self.until_acknowledged(body)
            self.keep(names, answers, repeated=False)
            if self.rng.random() < RESEND:
                self.keep(names, self.until_acknowledged(body), repeated=True)

    def batch(self) -> tuple[list[str], bytes]:
        """New records: their external ids, and the body."""
        names, parts = [], []
        for _ in range(self.rng.choice(SIZES)):
            before, after = self.rng.choice(self.corpus)
            name = external_id(self.run_name, self.number, self.sent)
            self.sent += 1
            names.append(name.decode())
            parts.append(before + name + after)
        return names, b"[" + b",".join(parts) + b"]"

    def until_acknowledged(self, body: bytes) -> list[dict[str, Any]]:
        """Send the same bytes until they are answered with 201, as long as it takes."""
        while True:
            status, answers, wait = self.attempt(body)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if answers is not None:
                return answers
            time.sleep(wait)

    def attempt(self, body: bytes) -> tuple[str, list[dict[str, Any]] | None, float]:
        """One try: what happened, the answers if it was stored, else how long to wait."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.shared.port, timeout=CLIENT_TIMEOUT)
            headers = {"Authorization": f"Bearer {self.shared.key}", "Content-Type": "application/json"}
            self.connection.request("POST", "/api/v1/decisions", body, headers)
            response = self.connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            if self.connection:
                self.connection.close()
            self.connection = None
            return type(error).__name__, None, 0.2
        if response.status == 201:
            answers: list[dict[str, Any]] = json.loads(data)
            return "201", answers, 0.0
        if response.status not in {429, 503}:
            print(f"{response.status}: {data[:600]!r}", file=sys.stderr, flush=True)
        return str(response.status), None, min(float(response.headers.get("Retry-After", 0.5)), 1.0)

    def keep(self, names: list[str], answers: list[dict[str, Any]], *, repeated: bool) -> None:
        """Write the receipts down before anything else is sent."""
        lines = [
            json.dumps({"external_id": name, "repeated": repeated, **answer})
            for name, answer in zip(names, answers, strict=True)
        ]
        with self.shared.lock:
            self.shared.out.write("\n".join(lines) + "\n")
            self.shared.out.flush()


def main() -> None:
    port, key, path, connections = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with open(path, "a", encoding="utf-8") as out:
        shared = Shared(port, key, out, threading.Lock(), stopping)
        senders = [Sender(shared, number) for number in range(connections)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    total: dict[str, int] = {}
    for sender in senders:
        for status, count in sender.statuses.items():
            total[status] = total.get(status, 0) + count
    print(json.dumps(total), flush=True)


if __name__ == "__main__":
    main()
