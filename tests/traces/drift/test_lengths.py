"""Lengths that changed are told within a few records; what recurs, or is one session's doing, is not."""

import random
from typing import Any

import pytest

from tests.benchmarks.drift import STREAMS, load, truths
from tests.traces.drift.cycles import HOUR, MONDAY, cyclic_rows
from traces.drift.frame import Row, rows_of
from traces.drift.lengths import FALSE_A_MONTH, LengthWatch, Shift, Usual, stake
from traces.drift.observation import Observation
from traces.drift.state import dump
from traces.drift.state import load as load_state
from traces.drift.watch import Watch

KNOWN = 250  # calls an hour apart: ten days


def calls(n: int, *, start: int = 0, times: float = 1.0, pace: float = HOUR, **same: Any) -> list[Row]:
    """In sessions of two, answers of a hundred tokens give or take half; `same` holds of all of them."""
    rng = random.Random(start)
    seen = []
    for i in range(start, start + n):
        about: dict[str, Any] = {"session": f"s-{i // 2}", "asked": f"question {i}", "versions": {"model": "m"}} | same
        scalars = {"output_tokens": 100 * times * rng.lognormvariate(0, 0.4)}
        at = MONDAY + start * HOUR + (i - start) * pace
        seen.append(Observation(id=f"id-{i:05}", at=at, scalars=scalars, **about))
    return rows_of(seen)


def told(rows: list[Row], watch: LengthWatch | None = None) -> list[tuple[int, Shift]]:
    watch = watch or LengthWatch()
    return [(place, shift) for place, row in enumerate(rows, 1) for shift in watch.take(row)]


@pytest.mark.parametrize("n", [100, 1_000])
def test_a_bet_on_ranks_pays_at_most_what_was_staked(n: int) -> None:
    paid = sum(stake(rank / (n + 1)) for rank in range(1, n + 2)) / (n + 1)
    assert 0.8 < paid <= 1


@pytest.mark.parametrize(("times", "name"), [(4.0, "answers longer"), (0.2, "answers shorter")])
def test_a_change_is_told_within_fifteen_records_and_once(times: float, name: str) -> None:
    ((place, shift),) = told([*calls(KNOWN), *calls(120, start=KNOWN, times=times)])
    assert KNOWN < place <= KNOWN + 15
    assert shift.name == name
    assert "no model, prompt or policy that is new came with it" in shift.text
    assert shift.rows[0].seen.at >= MONDAY + (KNOWN - 3) * HOUR


def test_a_version_that_came_with_it_is_named() -> None:
    before, after = ({"model": "m", "prompt": prompt} for prompt in ("p 1", "p 2"))
    ((_, shift),) = told([*calls(KNOWN, versions=before), *calls(20, start=KNOWN, times=4, versions=after)])
    assert shift.text.endswith("prompt p 2 came with it (before: p 1)")


@pytest.mark.parametrize("same", [{"session": "s-loop"}, {"asked": "again?"}])
def test_one_session_or_one_question_is_no_change(same: dict[str, str]) -> None:
    watch = LengthWatch()
    assert told([*calls(KNOWN), *calls(60, start=KNOWN, times=4, pace=5.0, **same)], watch) == []
    assert told(calls(20, start=KNOWN + 60, times=4), watch), "a change after it is told all the same"


def test_nothing_is_told_in_the_first_eight_days() -> None:
    assert told([*calls(150, pace=HOUR), *calls(30, start=150, times=4)]) == []


def test_what_recurs_each_night_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = cyclic_rows(22, seed=0, a_day=200.0)
    assert told(rows) == []
    monkeypatch.setattr(Usual, "recurs", lambda *_, **__: False)
    assert told(rows), "without that, the nightly batch would be told"


def test_a_calm_year_is_calm() -> None:
    """At most `FALSE_A_MONTH` a direction by the bound; what happens is far less."""
    assert FALSE_A_MONTH <= 0.025
    assert told(calls(24 * 365)) == []


def test_a_watch_from_its_bytes_says_the_same() -> None:
    rows = [*calls(KNOWN), *calls(30, start=KNOWN, times=4)]
    whole, parts = Watch(1e-9), Watch(1e-9)
    at_once, resumed = list(whole.take(rows)), []
    for start in range(0, len(rows), 7):
        parts = load_state(dump(parts))
        resumed += list(parts.take(rows[start : start + 7]))
    assert at_once == resumed != []
    assert dump(whole) == dump(load_state(dump(parts)))


@pytest.mark.skipif(not (STREAMS / "truth.json").exists(), reason="the evaluation data are not here")
def test_of_the_public_streams_those_that_changed_are_told_and_no_other() -> None:
    delays: dict[str, int] = {}
    for truth in truths():
        change = truth["change"]["index"] if truth["change"] else 10**9
        for place, shift in told(load(truth["name"])):
            assert place > change, (truth["name"], shift.text)
            delays.setdefault(truth["name"], place - change)
    assert delays["p-length-prompt"] <= 15
    assert delays["p-length-context"] <= 15
    assert delays["p-length-azure-25"] <= 45
