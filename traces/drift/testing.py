"""The two-stage test: a cheap look at every step, and a shuffle of whole sessions when something stands out. Pure.

Both stages compute the same distances. `Reference` remembers their laws from the last fit, so that a look costs some
vector sums; `confirm` fits scales and laws anew on exactly the rows it compares, which makes it a permutation test.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from traces.drift.channels import Narrow, Panel, Wide
from traces.drift.frame import Frame, Indexes, Matrix, Row, running
from traces.drift.shuffling import (
    LAW_WINDOWS,
    Law,
    NarrowSessions,
    Numbers,
    Verdicts,
    WideSessions,
    narrow_samples,
    selections,
    wide_samples,
    window_distances,
    windows_of,
)
from traces.drift.tails import fisher_p, largest_p

STEP = 10  # records between looks
LOOK_SHUFFLES = 64
# Shuffles by stage: the next is done only where the last leaves p below its limit. Rare events have rare, exact looks.
CONFIRM_STAGES = ((99, 0.01), (200, 5e-4), (400, 0.0))
JOINT = {"answers": ("answered", "style")}  # channels that move together are also asked together
EXACT_KINDS = ("refusal", "trigger", "decision", "adverse", "finish", "feedback")
_WINDOW_COUNT = 4.0  # how many independent windows the grid is worth, for the exact test


@dataclass(slots=True)
class _Sums:
    """Prefix sums of a channel, one row a step."""

    values: Numbers  # capacity × d
    present: Numbers  # capacity, or capacity × d
    used: int = 1

    @classmethod
    def of(cls, channel: Wide | Narrow) -> "_Sums":
        """The prefix sums of many rows at once."""
        values, present = _by_step(channel.values), _by_step(channel.present)
        room = len(values) // 2 + 17
        empty, unseen = (np.zeros((len(values) + room, *part.shape[1:])) for part in (values, present))
        sums = cls(empty, unseen, len(values) + 1)
        running(values, sums.values[1 : sums.used])
        running(present, sums.present[1 : sums.used])
        return sums

    def add(self, values: Numbers, present: Numbers) -> None:
        if self.used == len(self.values):
            self.values = np.concatenate((self.values, np.zeros_like(self.values)))
            self.present = np.concatenate((self.present, np.zeros_like(self.present)))
        self.values[self.used] = self.values[self.used - 1] + values
        self.present[self.used] = self.present[self.used - 1] + present
        self.used += 1

    def distances(self, windows: Sequence[int]) -> Numbers:
        return window_distances(self.values[: self.used], self.present[: self.used], windows, STEP)


def _by_step(rows: Matrix) -> Matrix:
    """Rows added up a step each: a tenth of the time that `reduceat` takes."""
    whole = len(rows) // STEP * STEP
    sums = rows[:whole].reshape(len(rows) // STEP, STEP, *rows.shape[1:]).sum(axis=1)
    return sums if whole == len(rows) else np.concatenate((sums, rows[whole:].sum(axis=0)[None]))


@dataclass(slots=True)
class Reference:
    """Scales, laws and prefix sums of the rows so far: what a look needs."""

    panel: Panel
    windows: list[int]
    laws: dict[str, Law]
    narrow_names: Sequence[str]
    sums: dict[str, _Sums]

    @classmethod
    def fit(
        cls, frame: Frame, seed: int, only: Collection[str] = (), recurring: Collection[str] | None = None
    ) -> "Reference":
        """From all rows that are compared, for the channels of `only`; costs some milliseconds, so not every step."""
        panel, wides = Panel.fitted(frame, only=only, recurring=recurring)
        narrow = panel.narrow(frame)
        windows = windows_of(len(frame))
        known = [w for w in LAW_WINDOWS if w in windows or w < max(windows, default=0)]
        samples = _samples(wides, narrow, frame.blocks(), known, seed) if known else {}
        laws = {name: Law.of(found) for name, found in samples.items()}
        for name, members in JOINT.items():
            if all(member in samples for member in members):
                laws[name] = Law.of(np.asarray(sum(laws[member].scores(samples[member]) for member in members)))
        sums = {wide.name: _Sums.of(wide) for wide in wides} | {"narrow": _Sums.of(narrow)}
        return cls(panel, windows, {name: law.at(windows, known) for name, law in laws.items()}, narrow.names, sums)

    def add(self, frame: Frame) -> None:
        """Take in the next step."""
        for wide in self.panel.wide(frame):
            self.sums[wide.name].add(wide.values.sum(axis=0, dtype=np.float64), wide.present.sum(dtype=np.float64))
        narrow = self.panel.narrow(frame)
        self.sums["narrow"].add(
            narrow.values.sum(axis=0, dtype=np.float64), narrow.present.sum(axis=0, dtype=np.float64)
        )

    def look(self) -> dict[str, float]:
        """The largest score of each channel over the windows: normal scores, roughly."""
        if not self.windows:
            return {}
        by_window = {name: self.laws[name].scores(sums.distances(self.windows)) for name, sums in self.sums.items()}
        found = {name: float(scores.max()) for name, scores in by_window.items() if name != "narrow"}
        if self.narrow_names:
            found |= dict(zip(self.narrow_names, by_window["narrow"].max(axis=0).tolist(), strict=True))
        for name, members in JOINT.items():
            if name in self.laws:
                joint = sum(by_window[member] for member in members)
                found[name] = float(self.laws[name].scores(np.asarray(joint)).max())
        return found


def _samples(
    wides: Sequence[Wide], narrow: Narrow, blocks: Indexes, windows: Sequence[int], seed: int
) -> dict[str, Numbers]:
    chosen = selections(np.bincount(blocks), windows, LOOK_SHUFFLES, seed)
    found = {wide.name: wide_samples(wide, blocks, chosen) for wide in wides}
    return found | {"narrow": narrow_samples(narrow, blocks, chosen)}


def confirm(frame: Frame, wanted: Collection[str], seed: int, *, recurring: Collection[str] | None = None) -> Verdicts:
    """The test itself, for the `wanted` channels: are the newest records unlike those before, whatever the window?

    `recurring` names the channels that are known to have a season, which saves asking all of them.
    """
    windows = windows_of(len(frame))
    members = {member for name in wanted for member in JOINT.get(name, (name,))}
    panel, wides = Panel.fitted(frame, only=members, recurring=recurring)
    blocks = frame.blocks()
    narrow = panel.narrow(frame)
    sessions: dict[str, WideSessions | NarrowSessions] = {wide.name: WideSessions.of(wide, blocks) for wide in wides}
    sessions["narrow"] = NarrowSessions.of(narrow, blocks)
    observed = {wide.name: _observed_wide(wide, windows) for wide in wides} | {
        "narrow": _observed_narrow(narrow, windows)
    }
    exact = _exact(narrow, windows, wanted)
    samples: dict[str, Numbers] = {}
    verdicts = Verdicts({}, {}, {}, frozenset(panel.seasons))
    for stage, (times, limit) in enumerate(CONFIRM_STAGES):
        chosen = selections(np.bincount(blocks), windows, times, seed + stage)
        for name, one in sessions.items():
            found = one.samples(chosen)
            samples[name] = np.concatenate((samples[name], found)) if name in samples else found
        found_now = _verdicts(_scores(narrow.names, observed, samples), windows, exact, wanted)
        verdicts = replace(verdicts, scores=found_now[0], windows=found_now[1], p=found_now[2])
        if min(verdicts.p.values(), default=1.0) > limit:
            break
    return verdicts


def _scores(
    columns: Sequence[str], observed: Mapping[str, Numbers], samples: Mapping[str, Numbers]
) -> dict[str, Numbers]:
    """By channel: (1 + shuffles) × windows scores, the observed first."""
    tables = {
        name: Law.of(found).scores(np.concatenate((observed[name][None], found))) for name, found in samples.items()
    }
    table = tables.pop("narrow")
    scores = dict(tables)
    for name, members in JOINT.items():
        if all(member in scores for member in members):
            scores[name] = np.asarray(sum(scores[member] for member in members))
    return scores | {name: table[:, :, column] for column, name in enumerate(columns)}


def _observed_wide(wide: Wide, windows: Sequence[int]) -> Numbers:
    new, total = _newest(wide.values, windows)
    m, whole = _newest(wide.present, windows)
    n = whole - m
    gap = new / np.maximum(m, 1)[:, None] - (total - new) / np.maximum(n, 1)[:, None]
    return np.where((m > 0) & (n > 0), m * n / np.maximum(m + n, 1) * (gap**2).sum(axis=1), 0.0)


def _observed_narrow(narrow: Narrow, windows: Sequence[int]) -> Numbers:
    new, total = _newest(narrow.values, windows)
    m, whole = _newest(narrow.present, windows)
    n = whole - m
    gap = new / np.maximum(m, 1) - (total - new) / np.maximum(n, 1)
    return np.where((m > 0) & (n > 0), m * n / np.maximum(m + n, 1) * gap**2, 0.0)


def _newest(rows: Matrix, windows: Sequence[int]) -> tuple[Numbers, Numbers]:
    """The sums of the newest rows, window by window (whole steps, as all windows are), and of all rows."""
    longest = max(windows, default=0)
    before = _by_step(rows[: len(rows) - longest]).sum(axis=0, dtype=np.float64)
    steps_back = _by_step(rows[len(rows) - longest :])[::-1]
    sums = running(steps_back, np.zeros(steps_back.shape))
    return sums[[w // STEP - 1 for w in windows]], before + (sums[-1] if longest else 0.0)


def _exact(narrow: Narrow, windows: Sequence[int], wanted: Collection[str]) -> dict[str, float]:
    """Fisher's exact p of each rate, at its best window, times what the choice of window is worth."""
    found = {}
    for column, name in enumerate(narrow.names):
        if name not in wanted or name.partition(":")[0] not in EXACT_KINDS:
            continue
        values, present = narrow.raw[:, column], narrow.present[:, column]
        tables = [
            (int(values[-w:].sum()), int(present[-w:].sum()), int(values[:-w].sum()), int(present[:-w].sum()))
            for w in windows
        ]
        found[name] = min(1.0, _WINDOW_COUNT * min(fisher_p(*table) for table in tables))
    return found


def _verdicts(
    scores: Mapping[str, Numbers], windows: Sequence[int], exact: Mapping[str, float], wanted: Collection[str]
) -> tuple[dict[str, float], dict[str, int], dict[str, float]]:
    best, where, p = {}, {}, {}
    for name in scores.keys() & set(wanted):
        largest = scores[name].max(axis=1)
        best[name] = float(largest[0])
        where[name] = windows[int(scores[name][0].argmax())]
        p[name] = max(largest_p(float(largest[0]), largest[1:]), exact.get(name, 0.0))
    return best, where, p


def steps(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows by whole steps; a rest waits."""
    for start in range(0, len(rows) - STEP + 1, STEP):
        yield rows[start : start + STEP]
