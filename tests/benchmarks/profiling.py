"""Where the write path spends its time: its steps called one after the other in this process, then under cProfile."""

import argparse
import cProfile
import io
import pstats
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from config.servers import DEMO
from tests.benchmarks.corpus import external_id, pieces
from tests.benchmarks.counters import process_table, tree_cpu
from tests.benchmarks.instance import Instance, make_tenant, running_instance
from tests.benchmarks.policies import activate_starters


@dataclass
class Lap:
    """Seconds of the clock and of this process's CPU."""

    wall: float = 0.0
    cpu: float = 0.0


def run(options: argparse.Namespace) -> int:
    """Print seconds per 1,000 records for each step, then the functions that take the most."""
    with running_instance(DEMO, processes=("sequencer", "signer")) as instance:
        credentials = make_tenant("profile")
        activate_starters(credentials.tenant_id, options.policies)
        steps = WritePath(credentials.ingest_key)
        bodies = make_bodies(options.batch, max(10, 1500 // options.batch))
        for body in bodies[:3]:
            steps.post(body)
        rest = bodies[3:]
        half = len(rest) // 2
        laps, postgres = measure(instance, steps, rest[:half])
        print(lap_table(laps, postgres, half * options.batch))
        print(profile_of(steps, rest[half:], 45))
    return 0


def make_bodies(batch: int, count: int) -> list[bytes]:
    corpus, name, rng = pieces(512), uuid.uuid4().hex, random.Random(3)
    bodies = []
    for number in range(count):
        chosen = [rng.choice(corpus) for _ in range(batch)]
        items = [
            before + external_id(name, number % 1000, number // 1000 * batch + index) + after
            for index, (before, after) in enumerate(chosen)
        ]
        bodies.append(b"[" + b",".join(items) + b"]")
    return bodies


class WritePath:
    """The steps of `POST /api/v1/decisions`, apart from HTTP, each timed under its name."""

    def __init__(self, key: str) -> None:
        self.headers = {"Authorization": f"Bearer {key}"}
        self.laps: dict[str, Lap] = {}

    def post(self, body: bytes) -> None:
        """One request."""
        import orjson

        from tenants.authentication import authenticate
        from traces import ingest
        from traces.services import USING, record_decisions
        from traces.submissions import read_items

        actor = self.step("authenticate", authenticate, self.headers, using=USING)
        items, _ = self.step("read_items", read_items, body, ndjson=False, limit=1000)
        answers = self.step("record_decisions", record_decisions, by=actor, items=items)
        told = self.step("receipts", ingest.with_receipts, actor, answers.items)
        self.step("dump", orjson.dumps, told)

    def step(self, name: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return call(*args, **kwargs)
        finally:
            lap = self.laps.setdefault(name, Lap())
            lap.wall += time.perf_counter() - wall
            lap.cpu += time.process_time() - cpu


def measure(instance: Instance, steps: WritePath, bodies: list[bytes]) -> tuple[dict[str, Lap], float]:
    """The laps over these bodies, and the CPU seconds that PostgreSQL used meanwhile."""
    steps.laps = {}
    root = instance.services.postgres.process.pid if instance.services.postgres else 0
    before = tree_cpu(root, process_table())
    for body in bodies:
        steps.post(body)
    return steps.laps, tree_cpu(root, process_table()) - before


def lap_table(laps: dict[str, Lap], postgres: float, records: int) -> str:
    """Seconds per 1,000 records."""
    thousand = records / 1000
    lines = [f"{records} records, seconds per 1,000:", f"{'step':20} {'wall':>8} {'CPU':>8}"]
    lines += [f"{name:20} {lap.wall / thousand:>8.4f} {lap.cpu / thousand:>8.4f}" for name, lap in laps.items()]
    cpu = sum(lap.cpu for lap in laps.values())
    lines.append(f"{'all, this process':20} {'':8} {cpu / thousand:>8.4f}")
    lines.append(f"{'PostgreSQL':20} {'':8} {postgres / thousand:>8.4f}  (with the sequencer's back end)")
    return "\n".join(lines)


def profile_of(steps: WritePath, bodies: list[bytes], rows: int) -> str:
    """The functions that take the most time of their own."""
    profile = cProfile.Profile()
    profile.enable()
    for body in bodies:
        steps.post(body)
    profile.disable()
    text = io.StringIO()
    stats = pstats.Stats(profile, stream=text)
    stats.sort_stats("tottime").print_stats(rows)
    stats.sort_stats("cumulative").print_stats(rows)
    return text.getvalue()
