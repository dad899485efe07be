"""`python -m tests.benchmarks.backtest`: how fast stored decisions are replayed, and where the time goes.

A private instance gets decisions of about 2 KB through the write path; then the steps of a chunk are called one after
the other, as `traces.backtesting` calls them, and timed apart. CPU of this process alone: PostgreSQL's is beside it.
"""

import argparse
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from config.servers import DEMO
from tests.benchmarks.counters import process_table, tree_cpu
from tests.benchmarks.instance import Instance, make_tenant, running_instance
from tests.benchmarks.profiling import Lap, make_bodies

FIELDS = ("adverse-needs-reason", "known-model", "low-confidence-automated", "notice-given", "off-hours")
TEXTS = ("pii-in-output", "prompt-injection", "regulated-advice", "refusal-marker", "unsupported-claim")
RULES = 10
BATCH = 500

# Functions of `traces.backtesting`, and what they do in a chunk.
STEPS = {
    "read_rows": "read rows",
    "read_contents": "read, decrypt, inflate",
    "case_of": "parse, build facts",
    "replay": "evaluate, count",
    "record_chunk": "save the result",
}


def main() -> int:
    options = _options()
    with running_instance(DEMO, processes=("sequencer", "signer")) as instance:
        credentials = make_tenant("backtest")
        fill(credentials.ingest_key, options.decisions)
        for name, starters in (("fields", FIELDS), ("texts", TEXTS)):
            laps, postgres, rules = measure(instance, uuid.UUID(credentials.tenant_id), ten_rules(name, starters))
            print(table(f"{rules} rules over {name}", laps, postgres, options.decisions))
    return 0


def fill(key: str, decisions: int) -> None:
    """Record them through the write path."""
    from tenants.authentication import authenticate
    from traces.services import USING, record_decisions
    from traces.submissions import read_items

    actor = authenticate({"Authorization": f"Bearer {key}"}, using=USING)
    for body in make_bodies(BATCH, decisions // BATCH):
        items, _ = read_items(body, ndjson=False, limit=BATCH)
        record_decisions(by=actor, items=items)


def ten_rules(name: str, starters: tuple[str, ...]) -> str:
    """A document of the first ten rules of these policies of the starter library, in JSON."""
    from policies.document import canonical
    from policies.library import load_starter

    documents = [json.loads(canonical(load_starter(starter).document)) for starter in starters]
    rules = [rule for document in documents for rule in document["rules"]][:RULES]
    return json.dumps(documents[0] | {"policy": name, "rules": rules, "examples": []})


def measure(instance: Instance, tenant_id: uuid.UUID, source: str) -> tuple[dict[str, Lap], float, int]:
    """The laps of one whole backtest, the CPU seconds of PostgreSQL meanwhile, and how many rules it had."""
    from policies.backtests import candidate_of, start_backtest
    from policies.services import draft_version
    from tenants.actors import system_actor

    by = system_actor(tenant_id, "benchmark", "policy.draft", "policy.backtest")
    now = datetime.now(UTC)
    version = draft_version(by=by, source=source)
    backtest = start_backtest(by=by, version=version, since=now - timedelta(days=1), until=now)
    laps: dict[str, Lap] = {}
    root = instance.services.postgres.process.pid if instance.services.postgres else 0
    before = tree_cpu(root, process_table())
    with timing(laps):
        run_to_its_end(tenant_id)
    return laps, tree_cpu(root, process_table()) - before, len(candidate_of(backtest).rules)


def run_to_its_end(tenant_id: uuid.UUID) -> None:
    from traces.backtesting import run_chunk

    while run_chunk(tenant_id):
        pass


@contextmanager
def timing(laps: dict[str, Lap]) -> Iterator[None]:
    """Put a stop watch around each step of a chunk, for as long as the block lasts."""
    from traces import backtesting

    plain = {name: getattr(backtesting, name) for name in STEPS}
    for name, call in plain.items():
        setattr(backtesting, name, watched(laps.setdefault(STEPS[name], Lap()), call))
    try:
        yield
    finally:
        for name, call in plain.items():
            setattr(backtesting, name, call)


def watched(lap: Lap, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its time added to the lap."""

    def run(*args: Any, **kwargs: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return call(*args, **kwargs)
        finally:
            lap.wall += time.perf_counter() - wall
            lap.cpu += time.process_time() - cpu

    return run


def table(title: str, laps: dict[str, Lap], postgres: float, decisions: int) -> str:
    """Microseconds of CPU a decision and decisions a second and core, step by step."""
    lines = [f"{title}, {decisions} decisions", f"{'step':24} {'CPU us':>9} {'per s and core':>15}"]
    for name, lap in laps.items():
        lines.append(f"{name:24} {1e6 * lap.cpu / decisions:>9.1f} {decisions / lap.cpu if lap.cpu else 0:>15,.0f}")
    total = sum(lap.cpu for lap in laps.values())
    lines.append(f"{'all of these':24} {1e6 * total / decisions:>9.1f} {decisions / total:>15,.0f}")
    return "\n".join([*lines, f"{'PostgreSQL beside it':24} {1e6 * postgres / decisions:>9.1f}", ""])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.backtest", description=__doc__)
    parser.add_argument("--decisions", type=int, default=10_000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
