"""A watch as bytes, and back: what lets a worker stop anywhere and go on as if it had not. Pure.

Texts are not kept: an answer's features, never its words, so that erasing a decision leaves nothing of it here to read.
"""

import zlib
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson

from traces.drift import style, words
from traces.drift.events import EventWatch, Run
from traces.drift.frame import Buffer, Row
from traces.drift.lengths import KEPT, LengthWatch, Usual
from traces.drift.monitor import Alarm, Monitor
from traces.drift.observation import Features, Observation
from traces.drift.testing import STEP, Reference
from traces.drift.watch import Watch

FORMAT = 1


def dump(watch: Watch) -> bytes:
    """Everything a watch holds. Rows that several of its parts hold are written once."""
    rows: dict[str, Row] = {}

    def held(some: Iterable[Row]) -> list[str]:
        names = []
        for row in some:
            rows.setdefault(row.seen.id, row)
            names.append(row.seen.id)
        return names

    head: dict[str, Any] = {
        "f": FORMAT,
        "level": watch.level,
        "monitors": {name: _monitor_out(one, held) for name, one in {"": watch.whole, **watch.segments}.items()},
        "waiting": {name: held(some) for name, some in watch.waiting.items()},
        "counts": dict(watch.counts),
        "alarm": [watch.alarm[0], _alarm_out(watch.alarm[1])] if watch.alarm else None,
        "events": _events_out(watch.events, held),
    }
    place = {name: index for index, name in enumerate(rows)}
    head = _placed(head, place)
    head["rows"] = [_row_out(row) for row in rows.values()]
    vectors = b"".join(_vectors_out(row.features) for row in rows.values())
    text = orjson.dumps(head, option=orjson.OPT_SORT_KEYS)
    return zlib.compress(len(text).to_bytes(4, "big") + text + vectors, 1)


def load(data: bytes) -> Watch:
    """The inverse of `dump`: the same watch, which will say the same."""
    raw = zlib.decompress(data)
    size = int.from_bytes(raw[:4], "big")
    head = orjson.loads(raw[4 : 4 + size])
    at = 4 + size
    rows = []
    for given in head["rows"]:
        features, at = _vectors_in(raw, at, given)
        rows.append(Row(_seen_in(given), features))
    watch = Watch(head["level"])
    for name, given in head["monitors"].items():
        target = watch.monitor_for(name)
        _monitor_in(target, given, rows)
    watch.waiting = {name: [rows[i] for i in some] for name, some in head["waiting"].items()}
    watch.counts = Counter(head["counts"])
    watch.alarm = (head["alarm"][0], Alarm(**head["alarm"][1])) if head["alarm"] else None
    watch.events = _events_in(head["events"], rows)
    return watch


def _placed(value: Any, place: Mapping[str, int]) -> Any:
    """Lists of row ids (marked `@`) as places."""
    if isinstance(value, dict):
        return {name: _placed(inner, place) for name, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, str) and item in place for item in value):
        return [place[item] for item in value]
    if isinstance(value, list):
        return [_placed(item, place) for item in value]
    return value


def _monitor_out(monitor: Monitor, held: Any) -> dict[str, Any]:
    return {
        "rows": held(monitor.rows),
        "n_seen": monitor.n_seen,
        "fitted_at": monitor.fitted_at if monitor.reference else 0,
        "fitted_seed": monitor.fitted_seed,
        "recurring": sorted(monitor.recurring),
        "asked": {name: list(value) for name, value in monitor.asked_at.items()},
    }


def _monitor_in(monitor: Monitor, given: Mapping[str, Any], rows: list[Row]) -> None:
    monitor.rows = [rows[i] for i in given["rows"]]
    monitor.n_seen = given["n_seen"]
    monitor.recurring = frozenset(given.get("recurring", ()))
    monitor.asked_at = {name: (value[0], value[1]) for name, value in given["asked"].items()}
    monitor.fitted_at, monitor.fitted_seed = given["fitted_at"], given["fitted_seed"]
    if not monitor.fitted_at:
        return
    monitor.buffer = Buffer.of(monitor.rows)
    frame = monitor.buffer.view(monitor.rows)
    monitor.reference = Reference.fit(
        frame.part(0, monitor.fitted_at), monitor.fitted_seed, monitor.only, monitor.recurring
    )
    for start in range(monitor.fitted_at, len(monitor.rows), STEP):
        monitor.reference.add(frame.part(start, start + STEP))


def _alarm_out(alarm: Alarm) -> dict[str, Any]:
    return {name: getattr(alarm, name) for name in Alarm.__slots__}


def _row_out(row: Row) -> dict[str, Any]:
    seen = row.seen
    return {
        "i": seen.id,
        "t": seen.at,
        "s": seen.session,
        "u": seen.user,
        "g": seen.segment,
        "v": dict(seen.versions),
        "n": dict(seen.scalars),
        "l": sorted(seen.labels),
        "j": sorted(seen.judged),
        "h": len(seen.asked) or seen.length,
        "f": row.features.fingerprint,
        "x": row.features.has_text,
    }


def _seen_in(given: Mapping[str, Any]) -> Observation:
    return Observation(
        id=given["i"], at=given["t"], session=given["s"], user=given["u"], segment=given["g"], versions=given["v"],
        scalars=given["n"], labels=frozenset(given["l"]), judged=frozenset(given["j"]), length=given["h"],
    )  # fmt: skip


def _vectors_out(features: Features) -> bytes:
    parts = []
    for vector in (features.asked, features.answered):
        whole = np.rint(vector * words.UNIT).astype(np.int16)
        places = np.flatnonzero(whole)
        parts += [
            len(places).to_bytes(2, "big"),
            np.diff(places, prepend=0).astype(">u2").view(np.uint8).reshape(-1, 2).T.tobytes(),
            whole[places].astype(">i2").view(np.uint8).reshape(-1, 2).T.tobytes(),
        ]
    parts.append(np.rint(features.style * words.UNIT).astype(">i2").tobytes())
    return b"".join(parts)


def _vectors_in(raw: bytes, at: int, given: Mapping[str, Any]) -> tuple[Features, int]:
    found = []
    for _ in range(2):
        count = int.from_bytes(raw[at : at + 2], "big")
        middle, end = at + 2 + 2 * count, at + 2 + 4 * count
        vector = np.zeros(words.DIMENSIONS, dtype=np.float32)
        vector[np.cumsum(_pairs(raw[at + 2 : middle], count, ">u2"))] = (
            _pairs(raw[middle:end], count, ">i2") / words.UNIT
        )
        found.append(vector)
        at = end
    end = at + 2 * style.SIZE
    numbers = (np.frombuffer(raw[at:end], dtype=">i2") / words.UNIT).astype(np.float32)
    return Features(found[0], found[1], numbers, given["f"], given["x"]), end


def _pairs(raw: bytes, count: int, kind: str) -> Any:
    columns = np.frombuffer(raw, dtype=np.uint8).reshape(2, count).T
    return np.ascontiguousarray(columns).view(kind).ravel().astype(np.int64)


def _events_out(events: EventWatch, held: Any) -> dict[str, Any]:
    return {
        "repeats": [[user, print_, _run_out(run, held)] for (user, print_), run in events.repeats.items()],
        "sessions": [[name, _run_out(run, held)] for name, run in events.sessions.items()],
        "longest": [events.longest_repeat, events.longest_session],
        "shifts": _lengths_out(events.lengths, held),
        "n_seen": events.n_seen,
    }


def _lengths_out(watch: LengthWatch, held: Any) -> dict[str, Any]:
    usual = {
        name: {
            "known": [list(pair) for pair in one.known],
            "n": one.n,
            "held": held(one.held),
            "wealth": one.wealth,
            "since": one.since,
        }
        for name, one in watch.usual.items()
    }
    return {"usual": usual, "versions": watch.versions, "began": watch.began, "n_seen": watch.n_seen}


def _lengths_in(given: Mapping[str, Any], rows: list[Row]) -> LengthWatch:
    watch = LengthWatch(versions=given["versions"], began=given["began"], n_seen=given["n_seen"])
    for name, one in given["usual"].items():
        known = deque(((at, length) for at, length in one["known"]), maxlen=KEPT)
        held = [rows[place] for place in one["held"]]
        watch.usual[name] = Usual(known, one["n"], held, one["wealth"], one["since"])
    return watch


def _run_out(run: Run, held: Any) -> dict[str, Any]:
    return {
        "first": held([run.first]), "last_at": run.last_at, "count": run.count, "told": run.told,
        "growing": run.growing, "tokens": run.tokens, "gaps": list(run.gaps),
    }  # fmt: skip


def _run_in(given: Mapping[str, Any], rows: list[Row]) -> Run:
    return Run(
        rows[given["first"][0]], given["last_at"], given["count"], given["told"], given["growing"], given["tokens"],
        deque(given["gaps"], maxlen=15),
    )  # fmt: skip


def _events_in(given: Mapping[str, Any], rows: list[Row]) -> EventWatch:
    events = EventWatch()
    events.repeats = {(user, print_): _run_in(run, rows) for user, print_, run in given["repeats"]}
    events.sessions = {name: _run_in(run, rows) for name, run in given["sessions"]}
    events.longest_repeat, events.longest_session = given["longest"]
    if "shifts" in given:  # a state of before they were watched has none: they are learned anew
        events.lengths = _lengths_in(given["shifts"], rows)
    events.n_seen = given["n_seen"]
    return events
