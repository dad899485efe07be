"""`python -m tests.benchmarks.drift`: every public stream against its truth, by the same settings.

Prints, for each stream, whether the change was found, after how many records and days, how far off the onset is, the
first cause, and what it cost; then the figures that matter. `--shuffled N` replays N streams in which nothing changes
(sessions of stationary stretches in random order) and counts false alarms. Needs the evaluation data beside the
checkout; says so and ends well without them.
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

from config.supervisor import ROOT
from tests.benchmarks.beside import Beside
from traces.drift.buckets import Bucket
from traces.drift.budget import look_level
from traces.drift.events import Event
from traces.drift.frame import Row, rows_of
from traces.drift.observation import observe
from traces.drift.state import dump
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


def flatness(thousands: int, level: float) -> str:
    """CPU ms of each thousand of one deployment without a change, and how many rows the watch holds by then.

    A watch holds a bounded sample of rows whatever came (`monitor.MEMORY`), and the baseline adds each record to the
    sums of its hour: nothing that a record's cost depends on grows once the memory is full, at 10,000 or at a million.
    """
    rows = load("p-stationary-clustered-2")
    span = rows[-1].seen.at - rows[0].seen.at + 3600
    watch, lines, done = Watch(level), [], 0
    for again in range(thousands * 1000 // len(rows) + 1):
        began, came = time.process_time(), 0
        for row in shuffled(rows, again):
            name, at = f"{again}-{row.seen.session}", row.seen.at + again * span
            seen = dataclasses.replace(row.seen, id=f"{again}-{row.seen.id}", session=name, at=at)
            list(watch.take([Row(seen, row.features)]))
            came += 1
        done += came
        cost = (time.process_time() - began) / came * 1e6
        lines.append(f"{done:>8,} stored: {cost:5.0f} ms CPU a 1,000; {len(watch.whole.rows):,} rows held")
    return "\n".join(lines)


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
    parser.add_argument("--flat", type=int, default=0, help="also tell what each of so many thousand records costs")
    parser.add_argument("--only", nargs="*", help="names of streams")
    parser.add_argument("--level", type=float, default=look_level(1), help="the p of a look; else a tenant's only one")
    options = parser.parse_args()
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
    if options.flat:
        print(f"\none deployment, record after record:\n{flatness(options.flat, level)}")
    if options.shuffled:
        print(null_streams(options.shuffled, level))
    return 0


if __name__ == "__main__":
    sys.exit(main())
