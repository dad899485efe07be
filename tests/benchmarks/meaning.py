"""`python -m tests.benchmarks.meaning`: the encoder's throughput, and search by meaning over 200,000 decisions.

Embeddings to search in are made in SQL from random signs: what a search costs does not depend on what they
mean. With `--labels <folder of xstest>` it also scores the refusals again, held out, from the labels themselves.
Prints the medians and the 95th percentiles; the target for a search is 100 ms.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from config.servers import DEMO, default_home, running_services
from tests.benchmarks.usage import _database

TEXTS = 64
SEED = """
INSERT INTO traces_embedding (tenant_id, id, deployment_id, subject_key_id, occurred_at, version, asked_digest,
    answered_digest, asked_signs, answered_signs, asked, answered)
SELECT %(tenant)s, d.id, d.deployment_id, %(key)s, d.occurred_at, 1, NULL, NULL,
       ('x' || md5(d.id::text) || md5(d.id::text || 'b') || md5(d.id::text || 'c'))::bit(384),
       ('x' || md5(d.id::text) || md5(d.id::text || 'b') || md5(d.id::text || 'c'))::bit(384),
       decode(repeat('cdcc4c3d', 384), 'hex'), decode(repeat('cdcc4c3d', 384), 'hex')
  FROM traces_decision d WHERE d.tenant_id = %(tenant)s
"""
COPY = """
INSERT INTO traces_decision SELECT (jsonb_populate_record(d, jsonb_build_object('id', uuid, 'occurred_at',
    d.occurred_at - n * interval '20 seconds'))).*
  FROM traces_decision d, generate_series(1, %(n)s) AS n,
       LATERAL (SELECT overlay(overlay(gen_random_uuid()::text placing left(d.id::text, 13) from 1 for 13)
                               placing '7' from 15 for 1)::uuid AS uuid WHERE n > 0) AS made
 WHERE d.tenant_id = %(tenant)s AND d.id = %(like)s
"""


def main() -> int:
    options = _options()
    os.environ["OMP_NUM_THREADS"] = "1"  # as every process of the site has it, before numpy is there
    _throughput()
    if options.labels:
        _refusals(options.labels)
    with contextlib.ExitStack() as stack:
        if "DATABASE_URL" not in os.environ:
            services = stack.enter_context(running_services(default_home(os.environ) / "bench-meaning", DEMO))
            os.environ.update(services.env())
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings_test"
        stack.enter_context(_database())
        slowest = _searches(options.decisions, options.rounds)
    print(f"\nslowest p95 at {options.decisions:,}: {slowest:.0f} ms (target: 100 ms)")
    return 0 if slowest <= 100 else 1


def _throughput() -> None:
    """Texts a second of the worker's way, one thread, and milliseconds of a typed query."""
    from traces.meaning.encoder import encode, encode_one

    began = time.perf_counter()
    encode(["warm"])
    print(f"encoder: {time.perf_counter() - began:.1f} s to load")
    for words in (12, 60, 200):
        texts = [" ".join(f"word{(i * 7 + n * 13) % 997}" for n in range(words)) for i in range(TEXTS)]
        began, used = time.perf_counter(), time.process_time()
        encode(texts)
        wall, cpu = time.perf_counter() - began, time.process_time() - used
        print(f"  {words:>4} words: {TEXTS / wall:6.1f} texts/s, {TEXTS / cpu:6.1f} per CPU-second")
    p50, p95 = _percentiles(lambda: encode_one("how do I get my money back for a late parcel"), 40)
    print(f"  a query without torch: {p50:.1f} / {p95:.1f} ms (p50 / p95)")


def _refusals(folder: Path) -> None:
    from traces.meaning import training
    from traces.meaning.encoder import encode

    rows = training.read(folder)
    asked, answered = encode([row["prompt"] for row in rows]), encode([row["completion"] for row in rows])
    stated = training.learn_refusals(rows, asked, answered)
    told = ("held_out_prompts", "held_out_model", "deflection_made")
    print("refusals, held out:", json.dumps({name: stated[name] for name in told}))


def _searches(decisions: int, rounds: int) -> float:
    """Prints the times of each search over so many decisions; returns the slowest p95 in ms."""
    from tenants.context import tenant_atomic
    from tests.factories.tenants import make_cast
    from traces.meaning import near
    from traces.models import Decision
    from traces.selectors import DecisionFilter

    cast = make_cast()
    _seed(cast, decisions)

    def search(**narrow: str) -> Callable[[], object]:
        def run() -> object:
            with tenant_atomic(cast.tenant.pk):
                return near.search("a late parcel", DecisionFilter.from_query(narrow), by=cast.auditor)

        return run

    def similar() -> object:
        with tenant_atomic(cast.tenant.pk):
            return near.similar(Decision.objects.latest("occurred_at", "id"), by=cast.auditor)

    cases = {"search": search(), "search, one system": search(system="loan-assistant"), "similar": similar}
    found = {name: _percentiles(run, rounds) for name, run in cases.items()}
    for name, (p50, p95) in found.items():
        print(f"{name:<24}{p50:6.0f} / {p95:.0f} ms (p50 / p95)")
    return max(p95 for _, p95 in found.values())


def _seed(cast: Any, decisions: int) -> None:
    from django.db import connections

    from tenants.context import tenant_atomic
    from tests.factories.traces import submit
    from traces.models import DecisionPayload

    (like,) = submit(cast)
    with tenant_atomic(cast.tenant.pk):
        key = DecisionPayload.objects.get(pk=like).subject_key_id
    values = {"tenant": cast.tenant.pk, "key": key, "like": like, "n": decisions - 1}
    began = time.perf_counter()
    with tenant_atomic(cast.tenant.pk, using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(COPY, values)
        cursor.execute(SEED, values)
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE traces_embedding")
        cursor.execute("SELECT pg_size_pretty(pg_relation_size('traces_embedding'))")
        size = cursor.fetchone()[0]
    print(f"\n{decisions:,} embeddings made in {time.perf_counter() - began:.0f} s; rows without vectors: {size}")


def _percentiles(run: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median and 95th percentile in ms, after two runs that warm the caches."""
    taken = []
    for number in range(rounds + 2):
        began = time.perf_counter()
        run()
        if number >= 2:
            taken.append((time.perf_counter() - began) * 1_000)
    taken.sort()
    return taken[len(taken) // 2], taken[min(int(len(taken) * 0.95), len(taken) - 1)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--labels", type=Path, help="XSTest's folder: score refusals from the labels again")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
