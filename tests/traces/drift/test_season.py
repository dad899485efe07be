"""Nights and weekends are no change; a change among them still is; where nothing recurs, nothing is taken off."""

import numpy as np
import pytest

from tests.traces.drift.cycles import MONDAY, cyclic_rows
from tests.traces.drift.made import made_rows
from traces.drift import monitor
from traces.drift.budget import look_level
from traces.drift.channels import Panel
from traces.drift.frame import Frame
from traces.drift.season import HOURS, hours, season_of, weekdays
from traces.drift.watch import Change, Watch

DAY = 86_400.0


def first_change(seed: int, a_day: float, change_day: int | None) -> tuple[int, Change] | None:
    """Rows past the change's (or the start's) day at the first alarm, and the alarm, by the settings of the product."""
    rows = cyclic_rows(24, seed=seed, a_day=a_day, change_day=change_day)
    start = sum(row.seen.at < MONDAY + (change_day or 0) * DAY for row in rows)
    watch = Watch(look_level(1))
    for index, row in enumerate(rows):
        for signal in watch.take([row]):
            if isinstance(signal, Change):
                return index - start, signal
    return None


@pytest.mark.parametrize(("seed", "a_day"), [(1, 20.0), (2, 36.0), (3, 36.0)])
def test_days_and_weeks_that_come_again_raise_no_alarm(seed: int, a_day: float) -> None:
    assert first_change(seed, a_day, None) is None


@pytest.mark.parametrize(("seed", "a_day"), [(4, 20.0), (5, 36.0)])
def test_a_change_among_cycles_is_found_and_dated(seed: int, a_day: float) -> None:
    found = first_change(seed, a_day, 15)
    assert found is not None
    late, change = found
    assert 0 < late <= 60
    assert change.finding.causes[0].field == "upstream"


def test_without_the_season_the_same_traffic_does_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the tests above can fail."""
    monkeypatch.setattr("traces.drift.channels.season_of", lambda *given, **named: None)
    monkeypatch.setattr(monitor, "WARM_UP_SPAN", 0.0)
    assert first_change(2, 36.0, None) is not None


def test_what_recurs_is_taken_off_and_what_does_not_is_left() -> None:
    rng = np.random.default_rng(1)
    at = MONDAY + np.sort(rng.random(900)) * 28 * DAY
    noise = rng.standard_normal((900, 8)).astype(np.float32)
    present = np.ones(900, dtype=np.float32)
    assert season_of(noise.copy(), present, at, together=True) is None
    night = (hours(at) % 24 < 6)[:, None]
    values = (noise + 2 * night).astype(np.float32)
    assert season_of(values, present, at, together=True) is not None
    assert abs(values[night[:, 0]].mean() - values[~night[:, 0]].mean()) < 0.1


def test_a_step_in_time_is_no_season() -> None:
    rng = np.random.default_rng(2)
    at = MONDAY + np.sort(rng.random(900)) * 28 * DAY
    values = (rng.standard_normal((900, 8)) + (np.arange(900) >= 500)[:, None]).astype(np.float32)
    assert season_of(values, np.ones(900, dtype=np.float32), at, together=True) is None


def test_hours_of_weekends_stand_apart_and_weeks_begin_on_monday() -> None:
    at = MONDAY + np.array([0.0, 3 * 3600.0, 5 * DAY, 6 * DAY + 23 * 3600.0])
    assert hours(at).tolist() == [0, 3, 24, HOURS - 1]
    assert weekdays(at).tolist() == [0, 0, 5, 6]


def test_traffic_without_a_cycle_is_left_to_the_bit() -> None:
    frame = Frame.of(made_rows(400, seed=3))
    asked, not_asked = Panel.fit(frame), Panel.fit(frame, recurring=())
    assert not asked.seasons
    for one, other in zip(asked.wide(frame), not_asked.wide(frame), strict=True):
        assert (one.values == other.values).all()


def test_a_first_weekend_is_taken_off_and_a_step_is_not() -> None:
    rng = np.random.default_rng(5)
    at = MONDAY + np.sort(rng.random(500)) * 9 * DAY
    present, weekend = np.ones(500, dtype=np.float32), weekdays(at) >= 5
    values = (rng.standard_normal((500, 8)) + 0.3 * weekend[:, None]).astype(np.float32)
    season = season_of(values, present, at, together=True)
    assert season is not None
    assert abs(values[weekend].mean() - values[~weekend].mean()) < 0.02
    new = at >= MONDAY + 7.5 * DAY
    stepped = (rng.standard_normal((500, 8)) + new[:, None]).astype(np.float32)
    season_of(stepped, present, at, together=True)
    assert stepped[new].mean() - stepped[~new].mean() > 0.7
