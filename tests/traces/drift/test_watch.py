"""The watch: finds a change, dates it, names its cause; says nothing where there is none; can stop anywhere."""

import dataclasses
import itertools
import random

import pytest

from tests.traces.drift.cycles import chatty
from tests.traces.drift.made import made_rows
from traces.drift.events import Event
from traces.drift.frame import Row
from traces.drift.state import dump, load
from traces.drift.watch import Change, Signal, Watch, settled

LEVEL = 5e-5


def all_of(rows: list[Row], level: float = LEVEL) -> list[Signal]:
    return list(Watch(level).take(rows))


def changes_of(rows: list[Row]) -> list[Change]:
    return [signal for signal in all_of(rows) if isinstance(signal, Change)]


def test_a_silent_change_is_found_dated_and_called_undeclared() -> None:
    first, final = changes_of(made_rows(560, seed=1, change_at=300))
    assert not first.final
    assert final.final
    assert abs(final.finding.onset.index - 300) <= 5
    assert final.finding.onset.low <= 300 <= final.finding.onset.high
    assert final.finding.causes[0].field == "upstream"
    assert {"input"} <= {cause.field for cause in final.finding.causes if cause.rejected}


def test_a_declared_change_is_named_and_dated_by_its_version() -> None:
    final = changes_of(made_rows(560, seed=2, change_at=300, new_model="m2"))[-1]
    top = final.finding.causes[0]
    assert (top.field, top.old, top.new) == ("model", "m", "m2")
    assert final.finding.onset.index == 300


def test_a_change_of_one_segment_names_it() -> None:
    final = changes_of(made_rows(560, seed=3, change_at=300, segment="eu"))[-1]
    named = {cause.new for cause in final.finding.causes if cause.field == "segment" and not cause.rejected}
    assert final.segment == "eu" or "eu" in named


def test_a_ramp_has_a_start_and_an_end() -> None:
    def slowly(rng: random.Random, text: str) -> str:
        slowly.calls += 1  # type: ignore[attr-defined]
        return chatty(rng, text) if rng.random() < slowly.calls / 200 else text  # type: ignore[attr-defined]

    slowly.calls = 0  # type: ignore[attr-defined]
    final = changes_of(made_rows(700, seed=4, change_at=250, change=slowly))[-1]
    onset = final.finding.onset
    assert onset.end is not None
    assert abs(onset.index - 250) <= 40


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_said_where_nothing_changed(seed: int) -> None:
    assert all_of(made_rows(500, seed=seed)) == []


def test_no_change_is_told_while_the_baseline_forms() -> None:
    assert changes_of(made_rows(190, seed=5, change_at=100)) == []


def test_a_watch_that_stops_anywhere_goes_on_as_if_it_had_not() -> None:
    rows = made_rows(520, seed=6, change_at=300)
    cuts = [0, 7, 133, 250, 251, 333, 520]
    watch, told = Watch(LEVEL), []
    for start, end in itertools.pairwise(cuts):
        told += list(watch.take(rows[start:end]))
        watch = load(dump(watch))
    whole = Watch(LEVEL)
    straight = list(whole.take(rows))
    assert [settled(one) for one in told if isinstance(one, Change)] == [
        settled(one) for one in straight if isinstance(one, Change)
    ]
    assert dump(watch) == dump(whole)


def test_state_is_bounded_whatever_came() -> None:
    watch = Watch(LEVEL)
    for part in range(6):
        list(watch.take(made_rows(400, seed=part, start=400 * part)))
    assert len(watch.whole.rows) < 2_000
    assert len(dump(watch)) < 3_000_000


def test_events_are_told_once() -> None:
    rows = made_rows(150, seed=7)
    last = rows[-1]
    seen = [Row(dataclasses.replace(last.seen, at=last.seen.at + i, id=f"again-{i}"), last.features) for i in range(20)]
    told = [signal for signal in all_of(rows + seen) if isinstance(signal, Event)]
    assert {event.kind for event in told} == {"repeated_requests", "runaway_session"}
    assert len(told) == 2
