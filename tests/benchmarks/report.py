"""The figures as a table and as JSON."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

AIMS = {1: 600, 100: 8000}  # durable records a second, by batch


@dataclass
class Step:
    """One batch size in one round. Rates in records a second, latencies in ms, CPU in seconds per 1,000 records."""

    batch: int
    records: int
    durable: float
    p50_ms: float
    p99_ms: float
    cpu_answer: float
    cpu_web: float
    cpu_postgres: float
    cpu_sequencer: float
    cpu_everything: float
    drained_after_s: float
    pushed_back: int
    errors: dict[str, int]
    client_cores: float


@dataclass
class Round:
    """One pass over every figure."""

    steps: list[Step] = field(default_factory=list)
    raw_copy: float = 0.0
    drain_rate: float = 0.0
    signed_after_s: float = 0.0
    bytes_per_record: dict[str, float] = field(default_factory=dict)
    json_bytes: float = 0.0
    readable: int = 0
    read_of: int = 0
    read_p50_ms: float = 0.0
    missing: int = 0


def machine() -> dict[str, Any]:
    """Where this ran: figures mean nothing without it."""
    model = ""
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else ""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def summary(rounds: list[Round]) -> dict[str, Any]:
    """Medians over the rounds."""

    def over(values: list[float]) -> float:
        return round(median(values), 4)

    by_batch = {}
    for index, first in enumerate(rounds[0].steps):
        names = [name for name, value in asdict(first).items() if isinstance(value, int | float)]
        by_batch[first.batch] = {
            name: over([float(getattr(r.steps[index], name)) for r in rounds]) for name in names if name != "batch"
        }
    raw = over([r.raw_copy for r in rounds])
    for figures in by_batch.values():
        figures["share_of_raw_copy"] = round(figures["durable"] / raw, 3) if raw else 0.0
    sizes = {table: over([r.bytes_per_record[table] for r in rounds]) for table in rounds[0].bytes_per_record}
    return {
        "batches": by_batch,
        "raw_copy": raw,
        "drain_rate": over([r.drain_rate for r in rounds]),
        "signed_after_s": over([r.signed_after_s for r in rounds]),
        "json_bytes": over([r.json_bytes for r in rounds]),
        "bytes_per_record": sizes,
        "stored_to_json": round(sum(sizes.values()) / rounds[0].json_bytes, 3) if rounds[0].json_bytes else 0.0,
        "readable_at_once": f"{sum(r.readable for r in rounds)} of {sum(r.read_of for r in rounds)}",
        "read_p50_ms": over([r.read_p50_ms for r in rounds]),
        "missing": sum(r.missing for r in rounds),
    }


def table(result: dict[str, Any]) -> str:
    """The summary for a terminal."""
    where, figures = result["machine"], result["summary"]
    head = f"{'batch':>6} {'durable/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU s/1k':>9} {'web':>7} {'postgres':>9}"
    head += f" {'+ledger':>8} {'of COPY':>8} {'drained':>8} {'client':>7}"
    lines = [
        f"{where['cores']} cores {where['cpu']}, load {where['load_average']:.1f} before, {where['at']}",
        f"{result['rounds']} round(s) of {result['seconds']:g} s, {result['connections']} connections,"
        f" {figures['json_bytes']:.0f} B of JSON a record, {result['policies']} policies in force, fsync on",
        "",
        head,
    ]
    for batch, row in figures["batches"].items():
        lines.append(
            f"{batch:>6} {row['durable']:>10,.0f} {row['p50_ms']:>8.1f} {row['p99_ms']:>8.1f} {row['cpu_answer']:>9.3f}"
            f" {row['cpu_web']:>7.3f} {row['cpu_postgres']:>9.3f} {row['cpu_everything']:>8.3f}"
            f" {row['share_of_raw_copy']:>7.0%} {row['drained_after_s']:>6.1f} s {row['client_cores']:>7.2f}"
        )
    sizes = figures["bytes_per_record"]
    parts = ", ".join(f"{name.partition('_')[2]} {size:,.0f}" for name, size in sizes.items())
    lines += [
        "",
        f"raw COPY of the same rows, one writer, 512 a commit: {figures['raw_copy']:,.0f} records/s",
        f"sequencer, draining a backlog alone: {figures['drain_rate']:,.0f} leaves/s;"
        f" signed {figures['signed_after_s']:.1f} s after the last leaf was queued",
        f"stored: {sum(sizes.values()):,.0f} B a record ({figures['stored_to_json']:.2f} x its JSON): {parts}",
        f"readable at once after the answer: {figures['readable_at_once']} (GET p50 {figures['read_p50_ms']:.1f} ms);"
        f" acknowledged and not stored: {figures['missing']}",
    ]
    return "\n".join(lines)


def write(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
