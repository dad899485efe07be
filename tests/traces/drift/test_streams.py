"""A few of the public streams, as a regression: what was found stays found, what was quiet stays quiet."""

import time
from typing import Any

import pytest

from tests.benchmarks.drift import STREAMS, expected_causes, load, onset_error, replay, truths
from traces.drift.budget import look_level
from traces.drift.events import Event

pytestmark = pytest.mark.skipif(not (STREAMS / "truth.json").exists(), reason="the evaluation data are not here")
TRUTHS: dict[str, Any] = {truth["name"]: truth for truth in truths()}


@pytest.mark.parametrize(
    ("name", "within", "error"),
    [
        ("p-swap-opinion", 20, 5),
        ("p-length-prompt", 40, 5),
        ("p-latency", 40, 5),
        ("p-swap-4", 40, 5),
        ("p-policy", 90, 5),
        ("p-inputshift-3", 70, 10),
    ],
)
def test_a_change_is_found_dated_and_explained(name: str, within: int, error: int) -> None:
    truth, out = TRUTHS[name], replay(load(name), look_level(1))
    assert out.at_record is not None
    assert 0 < out.at_record - truth["change"]["index"] <= within
    assert out.final is not None
    off, covered = onset_error(truth, out.final)
    assert abs(off) <= error
    assert covered
    assert out.final.finding.causes[0].field in expected_causes(truth)


@pytest.mark.parametrize("name", ["p-repeat-1", "p-repeat-2", "p-runaway-1", "p-runaway-2"])
def test_an_event_is_told_within_fifteen_records(name: str) -> None:
    out = replay(load(name), look_level(1))
    assert isinstance(out.first, Event)
    assert out.at_record is not None
    assert 0 < out.at_record - TRUTHS[name]["change"]["index"] <= 15
    assert TRUTHS[name]["kind"] in {event.kind for event in out.events[:3]}


@pytest.mark.parametrize("name", ["p-stationary-clustered-1", "p-control-volume", "p-control-version-label"])
def test_nothing_is_said_where_behaviour_stayed(name: str) -> None:
    out = replay(load(name), look_level(1))
    assert out.first is None


def test_the_cost_does_not_grow_with_history() -> None:
    """Ten times the records are some ten times the cost, not a hundred; generous, for a busy machine."""
    rows = load("p-stationary-azure")
    started = time.process_time()
    replay(rows[:300], look_level(1))
    few = time.process_time() - started
    started = time.process_time()
    replay(rows, look_level(1))
    assert time.process_time() - started < 40 * max(few, 0.05)
