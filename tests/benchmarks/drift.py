"""`python -m tests.benchmarks.drift`: every public stream against its truth, by the same settings.

Prints, for each stream, whether the change was found, after how many records and days, how far off the onset is, the
first cause, and what it cost; then the figures that matter. `--shuffled N` replays N streams in which nothing changes
(sessions of stationary stretches in random order) and counts false alarms; `--cycles N` does so with made traffic that
recurs by hour and weekday; `--stored 10000 1000000` tells the cost as a deployment grows; `--all` is everything. Needs
the evaluation data beside the checkout; says so and ends well without them.
"""

import argparse
import dataclasses
import gzip
import json
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from config.supervisor import ROOT
from tests.benchmarks.beside import Beside
from tests.traces.drift.cycles import cyclic_rows
from traces.drift.buckets import Bucket
from traces.drift.budget import look_level
from traces.drift.events import Event
from traces.drift.frame import Row, rows_of
from traces.drift.monitor import Monitor
from traces.drift.observation import observe
from traces.drift.state import dump
from traces.drift.testing import STEP
from traces.drift.watch import Change, Watch
from traces.import_formats import stream

STREAMS = Path(ROOT).parent / "shared" / "data" / "streams"
EVENT_KINDS = {"repeated_requests", "runaway_session"}
DAY = 86_400.0


def truths() -> list[dict[str, Any]]:
    """What is known about each stream; empty where the data are absent."""
    path = STREAMS / "truth.json"
    return json.loads(path.read_text()) if path.exists() else []


def lines_of(name: str) -> list[dict[str, Any]]:
    """The records of a stream as they are in its file."""
    with gzip.open(STREAMS / f"{name}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def load(name: str) -> list[Row]:
    """The records of a stream, featurised, in order of time."""
    return rows_of([observed(line) for line in lines_of(name)])


def observed(line: Mapping[str, Any]) -> Any:
    """A flat log line as the product sees it: through the importer's mapping."""
    at = datetime.fromisoformat(line["timestamp"]).timestamp()
    return observe(stream(line), identity=line["id"], at=at)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stream told: the first alarm (`at_record` rows in), and the last word on it."""

    at_record: int | None
    first: Change | Event | None
    final: Change | None
    events: Sequence[Event]
    cpu: float
    records: int


def replay(rows: Sequence[Row], level: float) -> Outcome:
    """Feed a stream, row by row, until its first change is worked out for good."""
    watch = Watch(level)
    first: Change | Event | None = None
    final: Change | None = None
    events: list[Event] = []
    at_record = None
    started = time.process_time()
    taken = 0
    for taken, row in enumerate(rows, 1):
        for signal in watch.take([row]):
            if isinstance(signal, Event):
                events.append(signal)
            elif signal.final:
                final = signal
            if first is None:
                first, at_record = signal, taken
        if final:
            break
    cpu = time.process_time() - started
    if watch.alarm and final is None:
        final = watch.finish()
    return Outcome(at_record, first, final, events, cpu, taken)


def expected_causes(truth: Mapping[str, Any]) -> set[str]:
    """The fields that would name the true cause."""
    cause = truth["change"]["cause"]
    if cause in {"model declared", "model"}:
        return {"model"}
    named = {"prompt_version": {"prompt"}, "policy_version": {"policy"}, "workload mix": {"input"}}
    if truth["kind"] == "input_shift" or cause.startswith("context stuffing"):
        return {"input"}
    return named.get(cause, {"upstream", "segment"} if truth["change"]["segment"] else {"upstream"})


def onset_error(truth: Mapping[str, Any], change: Change) -> tuple[int, bool]:
    """Records between the true and the stated onset (of the segment's records, where it is one's), and coverage."""
    rows = change.rows
    true_at = datetime.fromisoformat(truth["change"]["time"]).timestamp()
    true_index = sum(row.seen.at < true_at for row in rows)
    onset = change.finding.onset
    return onset.index - true_index, onset.low <= true_index <= onset.high


@dataclass(slots=True)
class Tally:
    """The figures of all streams together."""

    changes: int = 0
    found: int = 0
    streams: int = 0
    false: int = 0
    delays: list[int] = dataclasses.field(default_factory=list)
    errors: list[int] = dataclasses.field(default_factory=list)
    gradual: list[int] = dataclasses.field(default_factory=list)
    covered: list[bool] = dataclasses.field(default_factory=list)
    causes: list[bool] = dataclasses.field(default_factory=list)
    apart: list[bool] = dataclasses.field(default_factory=list)
    decoys: int = 0
    cpu: float = 0.0
    records: int = 0


def score(truth: Mapping[str, Any], out: Outcome, rows: Sequence[Row], tally: Tally) -> str:
    """Count one stream; returns its line."""
    change = truth["change"]
    at = change["index"] if change else None
    tally.streams += 1
    tally.cpu += out.cpu
    tally.records += out.records
    tally.changes += at is not None
    early = out.at_record is not None and (at is None or out.at_record <= at)
    tally.false += early
    line = f"{truth['name']:<26}{truth['kind']:<18}"
    if out.at_record is None or out.first is None or early:
        return line + ("FALSE ALARM" if early else "missed" if at is not None else "quiet")
    assert at is not None
    delay = out.at_record - at
    days = (rows[out.at_record - 1].seen.at - rows[at].seen.at) / DAY
    tally.found += 1
    tally.delays.append(delay)
    line += f"+{delay:>4} records {days:>5.1f} days  "
    if isinstance(out.first, Event) or out.final is None:
        kind = out.first.kind if isinstance(out.first, Event) else ""
        if truth["kind"] in EVENT_KINDS:
            tally.causes.append(truth["kind"] in {event.kind for event in out.events[:3]})
        if truth["kind"] in EVENT_KINDS or out.final is None:
            return line + f"event: {kind}"
    return line + _score_change(truth, out.final, tally)


def _score_change(truth: Mapping[str, Any], final: Change, tally: Tally) -> str:
    error, covered = onset_error(truth, final)
    top = final.finding.causes[0]
    expected = expected_causes(truth)
    (tally.gradual if truth["kind"] == "gradual" else tally.errors).append(abs(error))
    tally.covered.append(covered)
    tally.causes.append(top.field in expected)
    tally.apart.append((final.finding.kind == "input shift") == (expected == {"input"}))
    decoy = truth.get("decoy")
    tally.decoys += bool(decoy and top.field in decoy["field"])
    where = f" in {final.segment}" if final.segment else ""
    right = "" if top.field in expected else f" (expected {'/'.join(sorted(expected))})"
    return f"{final.finding.alarm.channel}{where}: onset {error:+d}{'' if covered else ' outside'}, {top.field}{right}"


def summary(tally: Tally) -> str:
    """The figures, one a line."""

    def spread(values: list[int]) -> str:
        if not values:
            return "-"
        ordered = sorted(values)
        return f"median {statistics.median(ordered):.0f}, q90 {ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]}"

    def share(values: list[bool]) -> str:
        return f"{sum(values)}/{len(values)}"

    return "\n".join(
        (
            f"changes found          {tally.found}/{tally.changes}",
            f"streams, false alarm   {tally.false}/{tally.streams}",
            f"delay, records         {spread(tally.delays)}",
            f"onset error, abrupt    {spread(tally.errors)}",
            f"onset error, gradual   {spread(tally.gradual)}",
            f"interval covers        {share(tally.covered)}",
            f"first cause right      {share(tally.causes)}, decoys blamed {tally.decoys}",
            f"shift or behaviour     {share(tally.apart)}",
            f"CPU ms a 1,000 records {tally.cpu / max(tally.records, 1) * 1e6:.0f}, features not counted",
        )
    )


def shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    """The same sessions in random order on the same clock: nothing changes in it."""
    rng = random.Random(seed)
    sessions: dict[str, list[Row]] = {}
    for row in rows:
        sessions.setdefault(row.seen.session or row.seen.id, []).append(row)
    order = list(sessions)
    rng.shuffle(order)
    flat = [row for name in order for row in sessions[name]]
    return [
        Row(dataclasses.replace(row.seen, at=slot.seen.at), row.features) for row, slot in zip(flat, rows, strict=True)
    ]


def null_streams(times: int, level: float) -> str:
    """False alarms on `times` shuffled stretches of streams without a change in them."""
    known = [truth for truth in truths() if truth["kind"] not in EVENT_KINDS]
    loaded: dict[str, list[Row]] = {}
    done = false = seed = 0
    while done < times:
        truth = known[seed % len(known)]
        seed += 1
        rows = loaded.setdefault(truth["name"], load(truth["name"]))
        at = (truth["change"] or {}).get("index")
        stretch = rows if at is None else rows[:at] if at >= len(rows) - at else rows[at:]
        if truth["kind"] == "gradual" or len(stretch) < 280:
            continue
        out = replay(shuffled(stretch[:1200], seed), level)
        done += 1
        false += out.first is not None
        if out.first is not None:
            what = out.first.kind if isinstance(out.first, Event) else out.first.finding.alarm
            print(f"  false alarm: {truth['name']} seed {seed} {what}", flush=True)
    return f"shuffled streams, false alarm {false}/{done}"


def cyclic_streams(times: int, level: float) -> str:
    """False alarms on made streams of four weeks: nights, days and weekends differ, and nothing changes."""
    false = 0
    for seed in range(times):
        out = replay(cyclic_rows(28, seed=1_000 + seed, a_day=(20.0, 36.0, 60.0)[seed % 3]), level)
        false += out.first is not None
        if isinstance(out.first, Change):
            print(
                f"  false alarm: cyclic seed {1_000 + seed} {out.first.segment} {out.first.finding.alarm}", flush=True
            )
    return f"cyclic streams, false alarm   {false}/{times}"


def _unwatched(monitor: Monitor, rows: Sequence[Row]) -> None:
    """What a step leaves behind, without its look: how a watch gets a long past in little time."""
    monitor.rows.extend(rows)
    monitor.n_seen += len(rows)
    monitor._thin()


def growth(sizes: Sequence[int], level: float) -> str:
    """CPU of behaviour once so many decisions of one deployment are stored: watch, and sums of the hour they are in.

    The past is the same traffic again and again, taken in without looks; then 2,400 more records are watched.
    """
    rows = load("p-stationary-clustered-2")
    span = rows[-1].seen.at - rows[0].seen.at + 3600

    def again(number: int) -> list[Row]:
        """The same traffic later, its sessions in another order."""
        found = []
        for row in shuffled(rows, number):
            name, at = f"{number}-{row.seen.session}", row.seen.at + number * span
            seen = dataclasses.replace(row.seen, id=f"{number}-{row.seen.id}", session=name, at=at)
            found.append(Row(seen, row.features))
        return found

    watch, done, number, lines, first = Watch(level), 0, 0, [], 0.0
    for size in sizes:
        with patch.object(Monitor, "step", _unwatched):
            while done < size:
                list(watch.take(again(number)))
                done, number = done + len(rows), number + 1
        watch.restart(0.0)  # as after loading: the next step fits anew
        newer = again(number) + again(number + 1)
        began = time.process_time()
        list(watch.take(newer))
        watched = time.process_time()
        sums = _add_to_hours(newer)
        cost = [(one / len(newer)) * 1e6 for one in (watched - began, time.process_time() - watched)]
        done, number, first = done + len(newer), number + 2, first or sum(cost)
        lines.append(
            f"{size:>9,} stored: watch {cost[0]:.0f} + sums {cost[1]:.0f} ms CPU a 1,000 ({sum(cost) / first:.2f} ×); "
            f"{len(watch.whole.rows):,} rows held, state {len(dump(watch)) / 1e6:.2f} MB, {sums:,} hours"
        )
    return "\n".join(lines)


def _add_to_hours(rows: Sequence[Row]) -> int:
    """As the worker does, ten records at a time: into the bucket of their hour, which is read and written each time."""
    stored: dict[tuple[Any, ...], bytes] = {}
    for start in range(0, len(rows), STEP):
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows[start : start + STEP]:
            key = (row.seen.at // 3600, row.seen.segment, row.seen.versions.get("model"))
            groups.setdefault(key, []).append(row)
        for key, some in groups.items():
            before = Bucket.decode(stored[key]) if key in stored else Bucket()
            stored[key] = before.merge(Bucket.of(some)).encode()
    return len(stored)


def state_bytes(rows: Sequence[Row], level: float) -> str:
    """What a deployment keeps: the sums of 30 days, by day, segment, model, prompt and policy, and the watch."""
    days: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        versions = (row.seen.versions.get(name) for name in ("model", "prompt", "policy"))
        days.setdefault((row.seen.at // DAY, row.seen.segment, *versions), []).append(row)
    n_days = len({key[0] for key in days})
    sums = sum(len(Bucket.of(some).encode()) for some in days.values()) * 30 / n_days
    watch = Watch(level)
    list(watch.take(rows))
    held = len(dump(watch)) / 1e6
    return f"{sums / 1e6:.2f} MB of sums a month ({len(days) / n_days:.1f} buckets a day), watch {held:.2f} MB"


def main() -> int:
    """Score, print, and tell by the exit status whether the targets for detection hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.drift", description=__doc__)
    parser.add_argument("--shuffled", type=int, default=0, help="also replay this many streams without a change")
    parser.add_argument("--beside", action="store_true", help="also run ADWIN and Evidently, where installed")
    parser.add_argument("--cycles", type=int, default=0, help="also replay so many made streams that recur")
    parser.add_argument("--stored", type=int, nargs="*", default=[], help="also the cost once so many are stored")
    parser.add_argument("--all", action="store_true", help="every figure: a quarter of an hour of CPU")
    parser.add_argument("--only", nargs="*", help="names of streams")
    parser.add_argument("--level", type=float, default=look_level(1), help="the p of a look; else a tenant's only one")
    options = parser.parse_args()
    if options.all:
        options.shuffled, options.cycles, options.stored = 200, 48, [10_000, 100_000, 1_000_000]
        options.beside = True
    if not truths():
        print(f"No evaluation data at {STREAMS}: nothing to score.")
        return 0
    level = options.level
    tally, beside = Tally(), Beside()
    featurising = n_featurised = 0.0
    for truth in truths():
        if options.only and truth["name"] not in options.only:
            continue
        lines = lines_of(truth["name"])
        cpu = time.process_time()
        rows = rows_of([observed(line) for line in lines])
        featurising += time.process_time() - cpu
        n_featurised += len(rows)
        print(score(truth, replay(rows, level), rows, tally), flush=True)
        if options.beside:
            beside.take(truth, rows)
    print(f"\n{summary(tally)}")
    print(f"features, CPU ms/1,000 {featurising / max(n_featurised, 1) * 1e6:.0f}, from the record as submitted")
    rows = load("p-stationary-clustered-2")
    print(f"kept for a deployment  {state_bytes(rows, level)}")
    if options.beside:
        print("\nbeside, on the same records:\n" + "\n".join(beside.lines()))
    if options.shuffled:
        print(null_streams(options.shuffled, level))
    if options.cycles:
        print(cyclic_streams(options.cycles, level))
    if options.stored:
        print(f"\none deployment, as it grows:\n{growth(options.stored, level)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
