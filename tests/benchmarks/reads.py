"""`python -m tests.benchmarks.reads`: lists, filters and searches of a tenant of 100,000 decisions and one of 500,000.

Every request goes through the whole stack (Django's test client: middleware, authentication, the web role under
row-level security, templates) to PostgreSQL with fsync on. A case is asked `--rounds` times of each in turns; what
another process disturbs shows in p95, of which the best third of the rounds counts, and hardly in CPU, which is this
process's and its database back end's together: the ratio of the two sizes is of that.
Of cases named `page` the answer is HTML as an auditor sees it, fifty records opened; of the others it is the API's.

Aims: p95 50 ms at 500,000, CPU no more than 1.5 times that of 100,000, a filter with no hit (`none`) 20 ms. A search
with no hit (`miss`) goes on by meaning, which has an aim and a benchmark of its own: shown, not judged.
`--export` takes the larger tenant away as each kind of file instead, and tells how the process grew by it.
`--only word` narrows the cases, `--explain` prints the statements and plans of one request of each.
"""

import argparse
import contextlib
import gc
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from config.servers import DEMO, default_home, running_services
from tests.benchmarks.usage import _database

SMALL, LARGE = 100_000, 500_000
AIM_MS, NONE_MS, RATIO, NOISE_MS = 50.0, 20.0, 1.5, 2.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds: median, 95th percentile, and CPU of this process and its database back end."""

    p50: float
    p95: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.p50:6.1f} {self.p95:6.1f} {self.cpu:6.1f}"


def main() -> int:
    options = _options()
    with contextlib.ExitStack() as stack:
        if "DATABASE_URL" not in os.environ:
            services = stack.enter_context(running_services(default_home(os.environ) / "bench-reads", DEMO))
            os.environ.update(services.env())
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings_test"
        stack.enter_context(_database())
        found = _measure(options)
    return 0 if options.export else _report(found, options)


def _measure(options: argparse.Namespace) -> dict[str, list[Timing]]:
    """Each case of all sizes in turns, so that what else the machine does falls on all of them."""
    from tests.benchmarks.archive import new_archive
    from tests.benchmarks.questions import addresses
    from tests.factories.tenants import make_cast

    archives = [new_archive(make_cast(), size) for size in options.sizes]
    for archive in archives:
        began = time.perf_counter()
        archive.grow(archive.of)
        print(f"{archive.of:,} decisions made in {time.perf_counter() - began:.0f} s", flush=True)
    if options.export:
        _export(archives[-1])
        return {}
    gc.collect()
    gc.freeze()  # what was made for the archives is not the requests' to clean up after
    askers, paths = [_Asker(archive.cast) for archive in archives], [addresses(archive) for archive in archives]
    found = {}
    for name in paths[0]:
        if options.only in name:
            found[name] = _time([(ask, named[name]) for ask, named in zip(askers, paths, strict=True)], options)
            print(f"  {name:<28}" + "  ".join(map(str, found[name])), flush=True)
    return found


def _export(archive: Any) -> None:
    from traces.search.exporting import FORMATS, export_decisions
    from traces.selectors import DecisionFilter

    print(f"  {'file':<10}{'rows':>10}{'MB':>8}{'rows/s':>8}{'MB more':>9}")
    for form in FORMATS:
        before, began, size = _resident(), time.perf_counter(), 0
        most = before
        for chunk in export_decisions(
            by=archive.cast.auditor, wanted=DecisionFilter(), form=form, now=datetime.now(UTC)
        ):
            size, most = size + len(chunk), max(most, _resident())
        rate = archive.size / (time.perf_counter() - began)
        print(f"  {form:<10}{archive.size:>10,}{size / 1e6:>8.1f}{rate:>8,.0f}{most - before:>9.1f}", flush=True)


def _resident() -> float:
    """MB of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class _Asker:
    """An auditor's browser and a program's key, of one tenant."""

    def __init__(self, cast: Any) -> None:
        from django.test import Client

        from tenants.roles import Role

        self.browser = Client()
        self.browser.force_login(cast.people[Role.AUDITOR], backend="django.contrib.auth.backends.ModelBackend")
        self.program = Client(headers={"authorization": f"Bearer {cast.keys['read'].secret}"})

    def get(self, path: str) -> Any:
        answer = (self.program if path.startswith("/api/") else self.browser).get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.content[:400]!r}")
        return answer


def _time(asked: list[tuple[_Asker, str]], options: argparse.Namespace) -> list[Timing]:
    taken: list[list[float]] = [[] for _ in asked]
    used = [0.0 for _ in asked]
    for number in range(options.rounds + 2):
        for place, (ask, path) in enumerate(asked):
            if number == 0 and options.explain:
                _explained(ask, path)
            began, before = time.perf_counter(), _cpu()
            ask.get(path)
            if number >= 2:  # the first ones load templates, and pages of the database
                used[place] += (_cpu() - before) * 1_000 / options.rounds
                taken[place].append((time.perf_counter() - began) * 1_000)
    return [_timing(each, cpu) for each, cpu in zip(taken, used, strict=True)]


def _timing(taken: list[float], cpu: float) -> Timing:
    """The median of all, and the 95th percentile of the third that was disturbed least."""
    third = -(-len(taken) // 3)
    parts = [sorted(taken[at : at + third]) for at in range(0, len(taken), third)]
    p95 = min(part[min(int(len(part) * 0.95), len(part) - 1)] for part in parts)
    return Timing(sorted(taken)[len(taken) // 2], p95, cpu)


def _cpu() -> float:
    """Seconds of CPU so far: this process, and its connection's back end (Linux counts both in nanoseconds)."""
    return time.process_time() + int(_backend().read_text().split()[0]) / 1e9


@cache
def _backend() -> Path:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")  # or their time would be nobody's
        cursor.execute("SELECT pg_backend_pid()")
        return Path(f"/proc/{cursor.fetchone()[0]}/schedstat")


def _explained(ask: _Asker, path: str) -> None:
    """Prints what one request asks of the decisions, and how that is answered."""
    from django.db import connection

    def explain(go: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "traces_decision" in sql and sql.lstrip("(").startswith("SELECT"):
            with connection.connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + sql, params)
                print(f"\n--- {path}\n{sql[:4000]}\n" + "\n".join(row[0] for row in cursor.fetchall()))
        return go(sql, params, many, context)

    with connection.execute_wrapper(explain):
        ask.get(path)


def _report(found: dict[str, list[Timing]], options: argparse.Namespace) -> int:
    aims = {name: NONE_MS if name.startswith("none") else AIM_MS for name in found}
    print(f"\n{'ms: p50, p95, CPU':<30}" + "".join(f"{size:>20,}" for size in options.sizes) + "   CPU ×")
    missed = 0
    for name, timings in found.items():
        small, large = timings[0], timings[-1]
        ratio = large.cpu / max(small.cpu, NOISE_MS)
        is_missed = not name.startswith("miss") and (large.p95 > aims[name] or ratio > RATIO)
        missed += is_missed
        cells = "".join(f"{timing!s:>20}" for timing in timings)
        print(f"{name:<30}{cells}   {ratio:5.2f}{'  *' if is_missed else ''}")
    print(f"\n{missed} of {len(found)} miss their aim" if missed else "\nevery aim is met")
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[SMALL, LARGE])
    parser.add_argument("--rounds", type=int, default=45, help="requests a case (default: 45)")
    parser.add_argument("--export", action="store_true", help="measure files instead of pages")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--explain", action="store_true", help="print the plans")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
