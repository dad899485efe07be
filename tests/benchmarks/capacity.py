"""`python -m tests.benchmarks.capacity`: CPU of each stage for a thousand decisions, bytes, the web's start and memory.

The figures behind docs/capacity.md, and the bounds that a web process is held to: a start of 3 s, 350 MB. Exit 1 where
one is not met.
"""

import argparse
import json
import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from config.processes import stop
from config.servers import DEMO
from config.supervisor import ROOT
from tests.benchmarks import report
from tests.benchmarks.counters import process_table, tree_cpu
from tests.benchmarks.instance import Credentials, Instance, make_tenant, running_instance
from tests.benchmarks.policies import activate_starters
from tests.benchmarks.rounds import Bench

STAGES = ("sums of usage and cost", "words for the search", "behaviour", "embedding")
START_SECONDS, RESIDENT_MB = 3.0, 350.0
STARTS, WORKERS = 3, 2


@dataclass(frozen=True)
class Stage:
    """CPU seconds for a thousand decisions: of the process, and of PostgreSQL for it."""

    name: str
    own: float
    postgres: float

    @property
    def both(self) -> float:
        return self.own + self.postgres


def main() -> int:
    options = _options()
    print("Starting a private, durable instance …", flush=True)
    with running_instance(DEMO, workers=WORKERS) as instance:
        credentials = make_tenant("capacity")
        activate_starters(credentials.tenant_id, 3)
        instance.collect_static()
        starts = [cold_start(instance) for _ in range(STARTS)]
        before = database_bytes(instance)
        bench = Bench(instance, credentials, connections=8)
        step, load = bench.step(100, options.seconds)
        memory = peak_memory(instance, credentials)
        print(f"  started in {middle(starts).seconds:.1f} s, {max(memory):.0f} MB a web process", flush=True)
        found = [
            Stage("ingest, batches of 100", step.cpu_web, step.cpu_postgres),
            Stage("sequencing and signing", step.cpu_sequencer, 0.0),
            # What follows, as the worker does it, one stage after the other.
            *(background(instance, credentials, name, options.seconds) for name in STAGES),
        ]
        stored = bench.stored()
        grown = (database_bytes(instance) - before) / stored
        sizes = largest_tables(instance, stored)
    result = {
        "machine": report.machine(),
        "records": stored,
        "json_bytes": load.json_bytes / load.records,
        "cpu_per_1000": {stage.name: [round(stage.own, 4), round(stage.postgres, 4)] for stage in found},
        "database_bytes_a_record": round(grown),
        "cold_start_s": [[round(one.seconds, 2), round(one.cpu, 2)] for one in starts],
        "largest_tables": sizes,
        "web_process_mb": [round(one) for one in memory],
    }
    report.write(result, options.out)
    print(table(found, grown, sizes, middle(starts), memory))
    return 0 if min(middle(starts).seconds, middle(starts).cpu) <= START_SECONDS and max(memory) <= RESIDENT_MB else 1


@dataclass(frozen=True)
class Start:
    """From the command to the first page: seconds, and CPU seconds a web process, which other work hardly changes."""

    seconds: float
    cpu: float


def cold_start(instance: Instance) -> Start:
    """Start the web anew, the database being there."""
    stop(instance.processes.pop("web"), grace=5.0)
    started = time.monotonic()
    instance.start("web")
    instance.wait_ready()
    with urllib.request.urlopen(f"{instance.base_url}/accounts/login/") as page:
        page.read()
    return Start(time.monotonic() - started, tree_cpu(instance.processes["web"].pid, process_table()) / WORKERS)


def peak_memory(instance: Instance, credentials: Credentials) -> list[float]:
    """The most that each web process has held, in MB; after some reading besides the load."""
    for path in 4 * ("/accounts/login/", "/api/v1/openapi.json", "/api/v1/decisions?limit=100"):
        headers = {"Authorization": f"Bearer {credentials.read_key}"}
        with urllib.request.urlopen(urllib.request.Request(f"{instance.base_url}{path}", headers=headers)) as page:
            page.read()
    root = instance.processes["web"].pid
    table = process_table()
    workers = [pid for pid, (parent, _) in table.items() if parent == root] or [root]
    return [_status(pid, "VmHWM") / 1024 for pid in workers if b"resource_tracker" not in _command(pid)]


def _status(pid: int, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def background(instance: Instance, credentials: Credentials, name: str, seconds: float) -> Stage:
    """Run one stage over all that waits (the embedding for so many seconds)."""
    env = next(child.env for child in instance.site.children() if child.name == "worker")
    before = _postgres_cpu(instance)
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.stage", name, credentials.tenant_id, str(seconds)],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    thousand = max(told["done"], 1) / 1000
    stage = Stage(name, told["cpu"] / thousand, (_postgres_cpu(instance) - before) / thousand)
    print(f"  {name}: {told['done']:,} decisions, {stage.own:.3f} + {stage.postgres:.3f} s a thousand", flush=True)
    return stage


def _postgres_cpu(instance: Instance) -> float:
    postgres = instance.services.postgres
    return tree_cpu(postgres.process.pid, process_table()) if postgres else 0.0


def database_bytes(instance: Instance) -> int:
    with instance.database() as database:
        row = database.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0


def largest_tables(instance: Instance, records: int) -> dict[str, int]:
    """Bytes a decision of the six largest tables, with their indexes and all their partitions."""
    query = (
        "SELECT coalesce(i.inhparent, c.oid)::regclass::text, sum(pg_total_relation_size(c.oid)) FROM pg_class c"
        "  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
        " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY 1 ORDER BY 2 DESC LIMIT 6"
    )
    with instance.database() as database:
        return {name: round(int(size) / records) for name, size in database.execute(query)}


def middle(starts: list[Start]) -> Start:
    return sorted(starts, key=lambda one: one.seconds)[len(starts) // 2]


def table(found: list[Stage], grown: float, sizes: dict[str, int], start: Start, memory: list[float]) -> str:
    lines = [f"{'CPU seconds for 1,000 decisions':34} {'process':>8} {'PostgreSQL':>11}"]
    lines += [f"{stage.name:34} {stage.own:8.3f} {stage.postgres:11.3f}" for stage in found]
    lines.append(f"{'all':34} {sum(stage.both for stage in found):20.3f}")
    lines.append(f"the database grew by {grown:,.0f} bytes a decision, with all that follows it")
    lines.append("  of which " + ", ".join(f"{name} {size:,}" for name, size in sizes.items()))
    lines.append(
        f"web: a page {start.seconds:.1f} s after its start, {start.cpu:.1f} s of CPU (aim {START_SECONDS:.0f});"
    )
    lines.append(f"     at most {max(memory):.0f} MB a process (aim {RESIDENT_MB:.0f})")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.capacity", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load, and of embedding")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "capacity.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
